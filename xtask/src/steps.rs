//! The kernel that interrupts the library's operations at every instruction, as a test.
//!
//! QEMU's log of exceptions names each step, at some hundred bytes, so a run under it would write gigabytes. The tests therefore
//! run without; and then a sample of them, a few thousand steps, runs again under the log, where the kernel's count of page
//! faults or data aborts must agree with it as the other test kernel's must.

use std::fs;

use crate::arch::Arch;
use crate::claims::{AGREEMENT, agreement, boot, build, full_name, judge, listed, logged};
use crate::kernel::STEPS;
use crate::qemu::Outcome;
use crate::route::Route;
use crate::status::Stop;
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;

/// The argument for a run that takes few steps.
const SAMPLE: &str = "sample";

/// Builds and boots the kernel on one machine, and reports.
pub(crate) fn run(workspace: &Workspace, route: &Route, arch: Arch, report: &mut Report) {
    let kernel = match build(workspace, route, arch, STEPS) {
        Ok(kernel) => kernel,
        Err(verdict) => return report.add(&verdict),
    };
    let name = full_name(arch, STEPS);
    let whole = boot(arch, STEPS, &kernel, &[], None);
    for line in whole.console.iter().filter(|line| line.starts_with("points ")) {
        eprintln!("   {line}");
    }
    let verdicts = judge(&name, &whole);
    verdicts.iter().for_each(|verdict| report.add(verdict));
    if verdicts.iter().any(Verdict::is_failure) {
        report.explain(&whole.transcript());
    }

    let log = workspace.exception_log(arch, STEPS.name);
    let sample = boot(arch, STEPS, &kernel, &[SAMPLE], Some(&log));
    let mut verdict = agreement(&name, &sample, logged(arch, &log));
    if sample.outcome != Outcome::Passed {
        verdict = Verdict::failed(verdict.name, sample.outcome.describe());
    }
    report.add(&verdict);
    if verdict.is_failure() {
        report.explain(&sample.transcript());
        report.explain(&[format!("[QEMU's exception log: {}]", log.display())]);
    } else {
        let _ = fs::remove_file(&log);
    }
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
