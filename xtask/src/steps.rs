//! The kernel that interrupts the library's operations at every instruction, as a test.
//!
//! QEMU's log of exceptions names each step, at some hundred bytes, so a run under it would write gigabytes. The tests therefore
//! run without; and then a sample of them, a few thousand steps, runs again under the log, where the kernel's count of page
//! faults or data aborts must agree with it as the other test kernel's must.

use crate::arch::Arch;
use crate::claims::{AGREEMENT, build, full_name, listed};
use crate::kernel::STEPS;
use crate::route::Route;
use crate::sampled::Booted;
use crate::status::Stop;
use crate::verdict::Report;
use crate::workspace::Workspace;

/// The argument for a run that takes few steps.
const SAMPLE: &str = "sample";

/// Builds and boots the kernel on one machine, and reports.
pub(crate) fn run(workspace: &Workspace, route: &Route, arch: Arch, report: &mut Report) {
    let file = match build(workspace, route, arch, STEPS) {
        Ok(file) => file,
        Err(verdict) => return report.add(&verdict),
    };
    let run = |arguments| Booted { arch, kernel: STEPS, file: &file, arguments };
    run(&[]).run_whole(workspace, &full_name(arch, STEPS), &["points "], report);
    run(&[SAMPLE]).run_sample(workspace, report);
}

/// The names of one machine's tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(workspace: &Workspace, route: &Route, arch: Arch) -> Result<Vec<String>, Stop> {
    let mut names = listed(workspace, route, arch, STEPS)?;
    names.push(format!("{}::{AGREEMENT}", full_name(arch, STEPS)));
    Ok(names)
}
