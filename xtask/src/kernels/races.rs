//! The kernel in which CPUs race, as tests.
//!
//! QEMU's log of exceptions would be hundreds of megabytes here, and worse, writing it makes the CPUs wait for each other: what
//! is logged does not race. The tests therefore run without; and then a few of them run again under the log, where
//! the kernel's count of page faults or data aborts, interrupts among them, must agree with it as the other test kernels' must.

use super::bench::Bench;
use super::judge::AGREEMENT;
use super::kernel::{Kernel, LONG_RACES, RACES};
use super::sampled::Booted;
use crate::cli::{Length, Soak};
use crate::status::Stop;
use crate::verdict::Report;

/// The argument for a run of many more rounds.
const LONG: &str = "long";
/// The arguments for a run under the log: these races take a few thousand exceptions.
const SAMPLE: &[&str] = &[
    "no_cpu_uses_a_translation_after_it_was_taken_away",
    "deferred_frees_spare_the_new_owners_of_the_pages",
    "violations_name_the_program_and_recovery_needs_none",
];

/// The kernel as it is booted for so long a test, and its arguments.
fn with(length: Length) -> (Kernel, Vec<String>) {
    match length {
        Length::Fast => (RACES, Vec::new()),
        Length::Long => (LONG_RACES, vec![LONG.to_owned()]),
        Length::Soak(Soak { minutes, seed }) => {
            (Kernel::soak(minutes), vec![format!("soak={minutes}"), format!("seed={seed}")])
        }
    }
}

/// Builds and boots the kernel on one machine, and reports, figures included.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let Some(file) = bench.build(RACES, report) else { return };
    let (kernel, arguments) = with(bench.length);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = Booted { bench, kernel, file: &file, arguments: &arguments };
    let whole = run.run_whole(&bench.name(RACES), &["figures ", "operations "], report);
    if !matches!(bench.length, Length::Soak(_)) {
        Booted { bench, kernel: RACES, file: &file, arguments: SAMPLE }.run_sample(whole, report);
    }
}

/// The names of one machine's tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
    let mut names = bench.listed(RACES)?;
    names.push(format!("{}::{AGREEMENT}", bench.name(RACES)));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_test_has_more_cpus_and_more_patience() {
        let ((fast, none), (long, arguments)) = (with(Length::Fast), with(Length::Long));
        assert_eq!((fast.cpus, none, long.cpus, arguments), (2, Vec::new(), 4, vec!["long".to_owned()]));
        assert!(fast.limit() < long.limit());
        assert_eq!(fast.name, long.name);
        let (soak, arguments) = with(Length::Soak(Soak { minutes: 60, seed: 9 }));
        assert_eq!((soak.cpus, arguments), (4, vec!["soak=60".to_owned(), "seed=9".to_owned()]));
        assert_eq!(soak.limit().as_secs(), 2 * 3600 + 120);
    }
}
