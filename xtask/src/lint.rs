//! `cargo xtask lint`: clippy with warnings denied, for the host and for both bare-metal targets.
//!
//! For the host the whole workspace is linted, as rust-analyzer checks it by default: the kernels are next to nothing there.
//! The targets are linted apart since the host never compiles those, nor the few lines of assembly that only the other
//! architecture has. `clippy::incompatible_msrv` is on by default and measures the library by the `rust-version` in its
//! manifest.

use std::io;
use std::process::{Child, Command, Stdio};

use crate::arch::Arch;
use crate::child;
use crate::setup::{self, Want};
use crate::status::{Status, Stop};
use crate::term;
use crate::workspace::Workspace;

/// What is linted for bare metal.
const BARE_METAL: [&str; 16] = [
    "kernel-arena",
    "kernel-arena-bpf",
    "support",
    "demo",
    "claims",
    "counts",
    "steps",
    "races",
    "heap",
    "minimal",
    "guests",
    "process",
    "programs",
    "bytecode",
    "schedule",
    "scheduler",
];

/// What those targets are called.
const BOTH: &str = "bare metal";

/// Lints everything, and goes on after complaints, so that all are seen at once.
///
/// # Errors
///
/// Something needed is missing, or clippy complained.
pub(crate) fn run(workspace: &Workspace) -> Result<Status, Stop> {
    let route = setup::ensure_route(workspace, &[Want::Kernels, Want::Clippy])?;
    // Both at once: each has a core library of its own to be read first.
    let mut bare = route.for_all(workspace, "clippy", &Arch::ALL);
    bare.args(BARE_METAL.iter().flat_map(|package| ["--package", package]));
    term::title("clippy for the host and for bare metal");
    let started = [("the host", started(host(workspace))), (BOTH, started(bare))];
    let mut complaints = Vec::new();
    for (what, clippy) in started {
        let status = clippy.and_then(|mut clippy| clippy.wait());
        let status = status.map_err(|error| Stop::not_ready(format!("clippy for {what} did not run: {error}")))?;
        complaints.extend((!status.success()).then_some(what));
    }
    if complaints.is_empty() {
        return Ok(Status::Success);
    }
    Err(Stop::failed(format!("clippy complained about the code for {}", complaints.join(", "))))
}

fn host(workspace: &Workspace) -> Command {
    let mut host = Command::new("cargo");
    child::forget_package(&mut host);
    host.current_dir(workspace.root()).args(["clippy", "--locked", "--workspace", "--all-targets", "--target-dir"]);
    host.arg(workspace.target(""));
    host
}

/// The two run beside each other, each for the other's idle moments: neither can have the terminal's last line.
fn started(mut clippy: Command) -> io::Result<Child> {
    child::die_with_xtask(&mut clippy);
    clippy.args(["--", "--deny", "warnings"]).env("CARGO_TERM_PROGRESS_WHEN", "never").stdin(Stdio::null()).spawn()
}
