//! The kernel in which CPUs race, as tests.
//!
//! QEMU's log of exceptions would be hundreds of megabytes here, and worse, writing it makes the CPUs wait for each other: what
//! is logged does not race. The tests therefore run without; and then a few of them run again under the log, where
//! the kernel's count of page faults or data aborts, interrupts among them, must agree with it as the other test kernels' must.

use std::fs;

use crate::arch::Arch;
use crate::claims::{AGREEMENT, agreement, boot, build, full_name, judge, listed, logged};
use crate::cli::Length;
use crate::kernel::{Kernel, LONG_RACES, RACES};
use crate::qemu::Outcome;
use crate::route::Route;
use crate::status::Stop;
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;

/// The argument for a run of many more rounds.
const LONG: &str = "long";
/// The arguments for a run under the log: these races take a few thousand exceptions.
const SAMPLE: &[&str] = &[
    "no_cpu_uses_a_translation_after_it_was_taken_away",
    "deferred_frees_spare_the_new_owners_of_the_pages",
    "violations_name_the_program_and_recovery_needs_none",
];

/// The kernel as it is booted for so long a test, and its arguments.
fn with(length: Length) -> (Kernel, &'static [&'static str]) {
    match length {
        Length::Fast => (RACES, &[]),
        Length::Long => (LONG_RACES, &[LONG]),
    }
}

/// Builds and boots the kernel on one machine, and reports, figures included.
pub(crate) fn run(workspace: &Workspace, route: &Route, arch: Arch, length: Length, report: &mut Report) {
    let file = match build(workspace, route, arch, RACES) {
        Ok(file) => file,
        Err(verdict) => return report.add(&verdict),
    };
    let name = full_name(arch, RACES);
    let (kernel, arguments) = with(length);
    let whole = boot(arch, kernel, &file, arguments, None);
    for line in whole.console.iter().filter(|line| is_figure(line)) {
        eprintln!("   {line}");
    }
    let verdicts = judge(&name, &whole);
    verdicts.iter().for_each(|verdict| report.add(verdict));
    if verdicts.iter().any(Verdict::is_failure) {
        report.explain(&whole.transcript());
    }

    let log = workspace.exception_log(arch, RACES.name);
    let sample = boot(arch, RACES, &file, SAMPLE, Some(&log));
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

/// Whether a line of the console is for people who want to see that the CPUs have met.
fn is_figure(line: &str) -> bool {
    line.starts_with("figures ") || line.starts_with("operations ")
}

/// The names of one machine's tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(workspace: &Workspace, route: &Route, arch: Arch) -> Result<Vec<String>, Stop> {
    let mut names = listed(workspace, route, arch, RACES)?;
    names.push(format!("{}::{AGREEMENT}", full_name(arch, RACES)));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_test_has_more_cpus_and_more_patience() {
        let ((fast, none), (long, arguments)) = (with(Length::Fast), with(Length::Long));
        assert_eq!((fast.cpus, none, long.cpus, arguments), (2, &[][..], 4, &["long"][..]));
        assert!(fast.limit() < long.limit());
        assert_eq!(fast.name, long.name);
    }

    #[test]
    fn figures_are_told_from_verdicts() {
        assert!(is_figure("figures a: 3 faults"));
        assert!(is_figure("operations 1000000"));
        assert!(!is_figure("ok figures"));
        assert!(!is_figure("exceptions 3"));
    }
}
