//! `cargo xtask lint`: clippy with warnings denied, for the host and for both bare-metal targets.
//!
//! The targets are linted apart since the host never compiles the kernels, nor the few lines of assembly that only the
//! other architecture has. `clippy::incompatible_msrv` is on by default and measures the library by the `rust-version`
//! in its manifest.

use std::process::{Command, Stdio};

use crate::arch::Arch;
use crate::child;
use crate::setup::{self, Want};
use crate::status::{Status, Stop};
use crate::workspace::Workspace;

/// What is linted for the host.
const HOST: [&str; 5] = ["kernel-arena", "kernel-arena-benches", "kernel-arena-loom", "xtask", "defmt-view"];
/// What is linted for bare metal.
const BARE_METAL: [&str; 7] = ["kernel-arena", "support", "demo", "claims", "steps", "races", "heap"];

/// Lints everything, and goes on after complaints, so that all are seen at once.
///
/// # Errors
///
/// Something needed is missing.
pub(crate) fn run(workspace: &Workspace) -> Result<Status, Stop> {
    let route = setup::ensure_route(workspace, &[Want::Kernels, Want::Clippy])?;
    let mut host = Command::new("cargo");
    child::forget_package(&mut host);
    host.current_dir(workspace.root()).args(["clippy", "--locked", "--all-targets"]);
    host.args(HOST.iter().flat_map(|package| ["--package", package])).arg("--target-dir");
    host.arg(workspace.target(""));
    let mut clean = succeeds("the host", host)?;
    for arch in Arch::ALL {
        let mut bare = route.cargo(workspace, "clippy", arch);
        bare.args(BARE_METAL.iter().flat_map(|package| ["--package", package]));
        clean &= succeeds(arch.target(), bare)?;
    }
    Ok(if clean { Status::Success } else { Status::Failed })
}

fn succeeds(what: &str, mut clippy: Command) -> Result<bool, Stop> {
    eprintln!("== clippy for {what}");
    let status = clippy.args(["--", "--deny", "warnings"]).stdin(Stdio::null()).status();
    status
        .map(|status| status.success())
        .map_err(|error| Stop::not_ready(format!("clippy for {what} did not start: {error}")))
}
