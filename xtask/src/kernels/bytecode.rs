//! The kernel that runs programs as bytecode, as tests: with one CPU, and with several.
//!
//! They run without QEMU's log of exceptions, which would keep the CPUs from running at once; then some of them run again under
//! it, where the kernel's count of page faults or data aborts must agree with the log.

use super::bench::{Bench, Ran};
use super::judge::AGREEMENT;
use super::kernel::{BYTECODE, BYTECODE_OF_TWO, Kernel, LONG_BYTECODE};
use super::sampled::Booted;
use crate::arch::Arch;
use crate::cli::Length;
use crate::status::Stop;
use crate::verdict::Report;

/// The argument for a run that does much more.
const LONG: &str = "long";
/// The arguments for a run under the log: some hundred exceptions, most of them holes.
const SAMPLE: &[&str] =
    &["every_edge_is_a_hole", "a_report_names_function_and_line", "a_page_is_freed_under_a_running_program"];

/// The kernel as it is booted for so long a test, and its arguments: each run on its own.
fn runs(length: Length) -> [(Kernel, &'static [&'static str]); 2] {
    match length {
        Length::Fast => [(BYTECODE, &[]), (BYTECODE_OF_TWO, &[])],
        Length::Long => [(BYTECODE, &[]), (LONG_BYTECODE, &[LONG])],
    }
}

/// The name of a run, which the names of its tests begin with.
fn name_of(arch: Arch, kernel: Kernel) -> String {
    let unit = if kernel.cpus == 1 { "cpu" } else { "cpus" };
    format!("{}::{}::{}_{unit}", arch.name(), kernel.name, kernel.cpus)
}

/// Builds and boots the kernel on one machine, and reports, figures included.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let Some(file) = bench.build(BYTECODE, report) else { return };
    let mut whole = Ran::Whole;
    for (kernel, arguments) in runs(bench.length) {
        let run = Booted { bench, kernel, file: &file, arguments };
        if run.run_whole(&name_of(bench.arch, kernel), &["figures "], report) == Ran::Broken {
            whole = Ran::Broken;
        }
    }
    Booted { bench, kernel: BYTECODE_OF_TWO, file: &file, arguments: SAMPLE }.run_sample(whole, report);
}

/// The names of one machine's tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
    let name = bench.name(BYTECODE);
    let listed = bench.listed(BYTECODE)?;
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
        assert_eq!(names(Length::Fast), ["aarch64::bytecode::1_cpu", "aarch64::bytecode::2_cpus"]);
        assert_eq!(names(Length::Long), ["aarch64::bytecode::1_cpu", "aarch64::bytecode::4_cpus"]);
    }

    #[test]
    fn all_runs_are_of_one_kernel() {
        for (kernel, _) in runs(Length::Fast).into_iter().chain(runs(Length::Long)) {
            assert_eq!(kernel.name, BYTECODE.name);
        }
    }
}
