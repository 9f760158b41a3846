//! The kernel that lives on the library's heap, as tests: with one CPU, and with several.
//!
//! As with the races, a log of QEMU's would keep the CPUs from running at once. The tests therefore run without; and
//! then a few of them run again under the log, where the kernel's count of page faults or data aborts must agree with
//! it as the other test kernels' must.

use super::bench::{Bench, Ran};
use super::judge::AGREEMENT;
use super::kernel::{HEAP, HEAP_OF_TWO, Kernel, LONG_HEAP};
use super::sampled::Booted;
use crate::arch::Arch;
use crate::cli::Length;
use crate::status::Stop;
use crate::verdict::Report;

/// The argument for a run that does much more.
const LONG: &str = "long";
/// The arguments for a run under the log: the claims with wild accesses, a few thousand exceptions.
const SAMPLE: &[&str] = &[
    "wild_accesses_of_another_cpu_harm_no_block",
    "wild_accesses_of_interrupts_harm_no_block",
    "a_wild_access_to_the_heaps_arena_is_recorded_exactly",
];

/// The kernel as it is booted for so long a test, and its arguments: each run on its own.
fn runs(length: Length) -> [(Kernel, &'static [&'static str]); 2] {
    match length {
        Length::Fast => [(HEAP, &[]), (HEAP_OF_TWO, &[])],
        Length::Long => [(HEAP, &[]), (LONG_HEAP, &[LONG])],
    }
}

/// The name of a run, which the names of its tests begin with.
fn name_of(arch: Arch, kernel: Kernel) -> String {
    let unit = if kernel.cpus == 1 { "cpu" } else { "cpus" };
    format!("{}::{}::{}_{unit}", arch.name(), kernel.name, kernel.cpus)
}

/// Builds and boots the kernel on one machine, and reports, figures included.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let Some(file) = bench.build(HEAP, report) else { return };
    let mut whole = Ran::Whole;
    for (kernel, arguments) in runs(bench.length) {
        let run = Booted { bench, kernel, file: &file, arguments };
        if run.run_whole(&name_of(bench.arch, kernel), &["figures "], report) == Ran::Broken {
            whole = Ran::Broken;
        }
    }
    Booted { bench, kernel: HEAP_OF_TWO, file: &file, arguments: SAMPLE }.run_sample(whole, report);
}

/// The names of one machine's tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
    let name = bench.name(HEAP);
    let listed = bench.listed(HEAP)?;
    let of_run = |kernel: Kernel| {
        let (name, run) = (&name, name_of(bench.arch, kernel));
        listed.iter().filter_map(move |test| test.strip_prefix(name.as_str()).map(|test| format!("{run}{test}")))
    };
    let mut names: Vec<String> = runs(bench.length).iter().flat_map(|(kernel, _)| of_run(*kernel)).collect();
    names.push(format!("{name}::{AGREEMENT}"));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_by_their_cpus() {
        let names = |length| runs(length).map(|(kernel, _)| name_of(Arch::Aarch64, kernel));
        assert_eq!(names(Length::Fast), ["aarch64::heap::1_cpu", "aarch64::heap::2_cpus"]);
        assert_eq!(names(Length::Long), ["aarch64::heap::1_cpu", "aarch64::heap::4_cpus"]);
    }

    #[test]
    fn all_runs_are_of_one_kernel() {
        for (kernel, _) in runs(Length::Fast).into_iter().chain(runs(Length::Long)) {
            assert_eq!(kernel.name, HEAP.name);
        }
    }
}
