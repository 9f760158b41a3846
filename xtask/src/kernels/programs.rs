//! The kernel that runs programs in user mode, as tests.
//!
//! They run without QEMU's log of exceptions, which would keep the CPUs from running at once; then some of them run again under
//! it, where the kernel's count of page faults or data aborts, its programs' among them, must agree with the log.

use super::bench::Bench;
use super::judge::AGREEMENT;
use super::kernel::{Kernel, LONG_PROGRAMS, PROGRAMS};
use super::sampled::Booted;
use crate::cli::Length;
use crate::status::Stop;
use crate::verdict::Report;

/// The argument for a run that does much more.
const LONG: &str = "long";
/// The arguments for a run under the log: a few hundred exceptions, of programs and of the kernel's own.
const SAMPLE: &[&str] = &[
    "a_wild_access_is_the_programs_own_fault",
    "pages_are_given_where_a_program_touches_them",
    "every_refusal_has_its_reason",
    "a_freed_page_is_gone_for_a_program_that_runs",
];

/// The kernel as it is booted for so long a test, and its arguments.
fn with(length: Length) -> (Kernel, &'static [&'static str]) {
    match length {
        Length::Fast => (PROGRAMS, &[]),
        Length::Long | Length::Soak(_) => (LONG_PROGRAMS, &[LONG]),
    }
}

/// Builds and boots the kernel on one machine, and reports, figures included.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let Some(file) = bench.build(PROGRAMS, report) else { return };
    let (kernel, arguments) = with(bench.length);
    let run = Booted { bench, kernel, file: &file, arguments };
    let whole = run.run_whole(&bench.name(PROGRAMS), &["figures "], report);
    Booted { bench, kernel: PROGRAMS, file: &file, arguments: SAMPLE }.run_sample(whole, report);
}

/// The names of one machine's tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
    let mut names = bench.listed(PROGRAMS)?;
    names.push(format!("{}::{AGREEMENT}", bench.name(PROGRAMS)));
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
}
