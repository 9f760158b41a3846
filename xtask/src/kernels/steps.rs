//! The kernel that interrupts the library's operations at every instruction, as a test.
//!
//! QEMU's log of exceptions names each step, at some hundred bytes, so a run under it would write gigabytes. The tests therefore
//! run without; and then a sample of them, a few thousand steps, runs again under the log, where the kernel's count of page
//! faults or data aborts must agree with it as the other test kernel's must.
//!
//! It has one CPU and takes a minute, so the kernels that are tested after it are built beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::ahead;
use super::bench::Bench;
use super::judge::AGREEMENT;
use super::kernel::STEPS;
use super::sampled::Booted;
use crate::status::Stop;
use crate::verdict::Report;

/// The argument for a run that takes few steps.
const SAMPLE: &str = "sample";

/// Builds and boots the kernel on one machine, and reports.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let Some(file) = bench.build(STEPS, report) else { return };
    let run = |arguments| Booted { bench, kernel: STEPS, file: &file, arguments };
    let is_over = AtomicBool::new(false);
    let whole = thread::scope(|scope| {
        scope.spawn(|| ahead::build(bench.workspace, bench.route, bench.following, &is_over));
        let whole = run(&[]).run_whole(&bench.name(STEPS), &["points "], report);
        is_over.store(true, Ordering::Relaxed);
        whole
    });
    run(&[SAMPLE]).run_sample(whole, report);
}

/// The names of one machine's tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
    let mut names = bench.listed(STEPS)?;
    names.push(format!("{}::{AGREEMENT}", bench.name(STEPS)));
    Ok(names)
}
