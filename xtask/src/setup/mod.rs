//! Installs what is missing: `cargo xtask setup`, and the first thing that `demo`, `test` and `lint` do.
//!
//! Three stages. Look what is there (fast: nothing is run but rustc). Decide what is missing and what that is called
//! here (pure functions, in [`needs`] and [`manager`]). Install it, on Debian and its kin through [`apt`]; elsewhere say
//! the exact command and stop, since a build tool has no business guessing at a foreign package manager. Nothing is
//! ever removed or replaced, and nothing is downloaded but by the system's package manager and rustup.

mod apt;
mod manager;
mod needs;
mod step;

use std::process::Command;
use std::time::Instant;

use crate::arch::Arch;
use crate::child;
use crate::route::{self, Route, Survey};
use crate::status::{Status, Stop};
use manager::Manager;
use needs::Item;

pub(crate) use needs::Want;

/// `cargo xtask setup`: installs everything, and says how the kernels will be built.
pub(crate) fn command() -> Result<Status, Stop> {
    let started = Instant::now();
    let route = ensure(&Want::ALL)?;
    let route = route.map_or_else(String::new, |route| format!("; kernels: {}", route.describe()));
    println!("setup: all is there ({:.1} s){route}", started.elapsed().as_secs_f64());
    Ok(Status::Success)
}

/// Makes sure that what is wanted is there, and gives the route by which kernels are built, if there is one.
///
/// # Errors
///
/// Something is missing and cannot be installed from here; the message says what to do.
pub(crate) fn ensure(wants: &[Want]) -> Result<Option<Route>, Stop> {
    let (mut survey, mut missing) = look(wants);
    if missing.contains(&Item::Targets) && route::rustup_may_fetch() {
        if let Err(error) = fetch_targets() {
            eprintln!("setup: {error}");
        }
        (survey, missing) = look(wants);
    }
    if missing.is_empty() {
        return Ok(survey.route());
    }
    let manager = Manager::detect();
    let names: Vec<&str> = missing.iter().map(|item| item.describe()).collect();
    eprintln!("setup: missing: {}", names.join(", "));
    if manager != Manager::Apt {
        return Err(Stop::not_ready(format!("please install what is missing:\n{}", manager.advice(&missing))));
    }
    apt::install(&manager.packages(&missing)).map_err(|why| {
        Stop::not_ready(format!("{why}\nto install by hand what is missing:\n{}", manager.advice(&missing)))
    })?;
    let (survey, missing) = look(wants);
    if missing.is_empty() {
        return Ok(survey.route());
    }
    let names: Vec<&str> = missing.iter().map(|item| item.describe()).collect();
    Err(Stop::not_ready(format!(
        "the packages are installed, but still missing: {}\n{}",
        names.join(", "),
        manager.advice(&missing)
    )))
}

/// [`ensure`] for those who cannot do without a route.
pub(crate) fn ensure_route(wants: &[Want]) -> Result<Route, Stop> {
    ensure(wants)?.ok_or_else(|| Stop::not_ready("no Rust here can build kernels: run `cargo xtask setup`"))
}

/// What is there, and what of the wanted is not.
fn look(wants: &[Want]) -> (Survey, Vec<Item>) {
    let kernels = wants.iter().any(|want| matches!(want, Want::Kernels | Want::Clippy));
    let survey = if kernels { Survey::take() } else { Survey::default() };
    let missing = needs::missing(wants, &survey, |program| child::find_program(program).is_some());
    (survey, missing)
}

/// Has rustup fetch the targets for the current toolchain.
fn fetch_targets() -> Result<(), String> {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add"]).args(Arch::ALL.map(Arch::target));
    step::step("rustup fetches the bare-metal targets", rustup).map_err(|failure| failure.message)
}
