//! Brings what is missing: `cargo xtask setup`, and the first thing that `demo`, `test` and `lint` do.
//!
//! Three stages. Look what is there (fast: nothing is run but rustc, and what was unpacked). Decide what is missing and
//! what that is called here (pure functions, in [`needs`] and [`manager`]). Bring it: on Debian and its kin [`apt`]
//! installs it, or where it may not or will not, its packages are [`unpacked`] below the target directory; elsewhere say
//! the exact command and stop, since a build tool has no business guessing at a foreign package manager. Nothing is
//! ever removed or replaced, and nothing is downloaded but by the system's package manager and rustup.

mod apt;
mod manager;
mod needs;
mod step;
mod unpacked;

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::arch::Arch;
use crate::child;
use crate::route::{self, Route, Survey};
use crate::status::{Status, Stop};
use crate::turn::Turn;
use crate::workspace::Workspace;
use manager::Manager;
use needs::Item;
use step::say;

pub(crate) use needs::Want;

/// `cargo xtask setup`: brings everything, and says how the kernels will be built.
pub(crate) fn command(workspace: &Workspace) -> Result<Status, Stop> {
    let started = Instant::now();
    let route = ensure(workspace, &Want::ALL)?;
    let route = route.map_or_else(String::new, |route| format!("; kernels: {}", route.describe()));
    println!("setup: all is there ({:.1} s){route}", started.elapsed().as_secs_f64());
    Ok(Status::Success)
}

/// Makes sure that what is wanted is there, and gives the route by which kernels are built, if there is one.
///
/// # Errors
///
/// Something is missing and cannot be brought from here; the message says what to do.
pub(crate) fn ensure(workspace: &Workspace, wants: &[Want]) -> Result<Option<Route>, Stop> {
    let mut found = Found::look(workspace, wants);
    if found.missing.contains(&Item::Targets) && route::rustup_may_fetch() {
        if let Err(error) = fetch_targets() {
            say(&error);
        }
        found = Found::look(workspace, wants);
    }
    if !found.missing.is_empty() {
        // Apart from the turn of those who test: who only lints need not wait for them.
        let _turn = Turn::take(&workspace.target("setup"), "cargo xtask setup");
        // Whoever had the lock may have brought it.
        found = Found::look(workspace, wants);
        if !found.missing.is_empty() {
            found = bring(workspace, wants, &found.missing)?;
        }
    }
    found.tell(workspace);
    Ok(found.survey.route())
}

/// [`ensure`] for those who cannot do without a route.
pub(crate) fn ensure_route(workspace: &Workspace, wants: &[Want]) -> Result<Route, Stop> {
    ensure(workspace, wants)?.ok_or_else(|| Stop::not_ready("no Rust here can build kernels: run `cargo xtask setup`"))
}

/// Installs or unpacks what is missing, and gives what is there then: everything that is wanted.
fn bring(workspace: &Workspace, wants: &[Want], missing: &[Item]) -> Result<Found, Stop> {
    let manager = Manager::detect();
    say(&format!("missing: {}", described(missing)));
    if manager != Manager::Apt {
        return Err(Stop::not_ready(format!("please install what is missing:\n{}", manager.advice(missing))));
    }
    let by_hand = |why: &str, items: &[Item]| {
        Stop::not_ready(format!("{why}\nto install by hand what is missing:\n{}", manager.advice(items)))
    };
    if let Err(refusal) = apt::install(&manager.packages(missing)) {
        say(&format!("apt installs nothing here: {refusal}"));
        say("the packages are unpacked below the target directory instead; the system stays as it is");
        // All that any command will want: adding to it later would be to download most of it again.
        let everything = Found::look(workspace, &Want::ALL).missing;
        let sets = [manager.packages(&everything), manager.packages(missing)];
        unpacked::bring(workspace, &sets).map_err(|why| by_hand(&why, missing))?;
    }
    let found = Found::look(workspace, wants);
    match found.missing.as_slice() {
        [] => Ok(found),
        rest => {
            let why = rest.iter().filter_map(|item| why_not(workspace, *item)).collect::<Vec<_>>().join("\n");
            Err(by_hand(&format!("the packages are there, but still missing: {}\n{why}", described(rest)), rest))
        }
    }
}

/// What is there, and what of the wanted is not.
#[derive(Debug)]
struct Found {
    survey: Survey,
    /// What is run from the unpacked packages.
    unpacked: Vec<&'static str>,
    missing: Vec<Item>,
}

impl Found {
    /// Looks on the system, and for what it has not, among the unpacked packages, if they are whole.
    fn look(workspace: &Workspace, wants: &[Want]) -> Self {
        let is_unpacked = unpacked::is_there(workspace);
        let kernels = wants.iter().any(|want| matches!(want, Want::Kernels | Want::Clippy));
        let survey = if kernels { Survey::take(is_unpacked.then_some(workspace)) } else { Survey::default() };
        let mut from_packages = Vec::new();
        let missing = needs::missing(wants, &survey, |program| {
            if child::find_program(program).is_some() {
                return true;
            }
            let runs = is_unpacked && try_launcher(workspace, program).is_ok();
            from_packages.extend(runs.then_some(program));
            runs
        });
        if survey.packaged.as_deref().is_some_and(|programs| programs.starts_with(workspace.packages())) {
            from_packages.push("rustc");
        }
        Self { survey, unpacked: from_packages, missing }
    }

    /// Says what is not the system's.
    fn tell(&self, workspace: &Workspace) {
        if !self.unpacked.is_empty() {
            say(&format!("from {}: {}", workspace.packages().display(), self.unpacked.join(", ")));
        }
    }
}

/// Runs an unpacked program only for its version, to see that it has all its libraries; what it says if not.
fn try_launcher(workspace: &Workspace, program: &str) -> Result<(), String> {
    let output = Command::new(workspace.launcher(program)).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said()) }
}

/// Why something cannot be run that was unpacked.
fn why_not(workspace: &Workspace, item: Item) -> Option<String> {
    let program = match item {
        Item::Qemu(arch) => arch.qemu(),
        Item::Python => "python3",
        Item::Targets => "rustc",
        Item::Clippy => "cargo-clippy",
        Item::Linker => return None,
    };
    workspace.launcher(program).is_file().then(|| try_launcher(workspace, program).err())?
}

fn described(items: &[Item]) -> String {
    items.iter().map(|item| item.describe()).collect::<Vec<_>>().join(", ")
}

/// Has rustup fetch the targets for the current toolchain.
fn fetch_targets() -> Result<(), String> {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add"]).args(Arch::ALL.map(Arch::target));
    step::step("rustup fetches the bare-metal targets", rustup).map_err(|failure| failure.message)
}
