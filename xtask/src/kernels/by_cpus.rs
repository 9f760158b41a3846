//! Kernels that are booted twice, as tests: with one CPU, where what fails is no race, and with several.
//!
//! They run without QEMU's log of exceptions, which would keep the CPUs from running at once; then some of their tests run again
//! under it, where the kernel's count of page faults or data aborts must agree with the log.

use super::bench::{Bench, Ran};
use super::judge::AGREEMENT;
use super::kernel::{self, Kernel};
use super::sampled::Booted;
use crate::arch::Arch;
use crate::cli::Length;
use crate::status::Stop;
use crate::verdict::Report;

/// The argument for a run that does much more.
const LONG: &str = "long";

/// A kernel, as often as it is booted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByCpus {
    one: Kernel,
    several: Kernel,
    /// The same for a long test.
    long: Kernel,
    /// The arguments for a run under the log: some hundred exceptions or a few thousand, most of them wild accesses or holes.
    sample: &'static [&'static str],
}

/// Lives on the library's heap.
pub(crate) const HEAP: ByCpus = ByCpus {
    one: kernel::HEAP,
    several: kernel::HEAP_OF_TWO,
    long: kernel::LONG_HEAP,
    sample: &[
        "wild_accesses_of_another_cpu_harm_no_block",
        "wild_accesses_of_interrupts_harm_no_block",
        "a_wild_access_to_the_heaps_arena_is_recorded_exactly",
    ],
};

/// Runs programs as bytecode.
pub(crate) const BYTECODE: ByCpus = ByCpus {
    one: kernel::BYTECODE,
    several: kernel::BYTECODE_OF_TWO,
    long: kernel::LONG_BYTECODE,
    sample: &["every_edge_is_a_hole", "a_report_names_function_and_line", "a_page_is_freed_under_a_running_program"],
};

/// Has its tasks scheduled by programs that it loads.
pub(crate) const SCHEDULER: ByCpus = ByCpus {
    one: kernel::SCHEDULER,
    several: kernel::SCHEDULER_OF_TWO,
    long: kernel::LONG_SCHEDULER,
    sample: &[
        "one_that_runs_off_the_end_of_its_mask",
        "one_that_uses_a_page_after_it_was_freed",
        "one_that_has_the_kernel_follow_a_wild_pointer",
    ],
};

impl ByCpus {
    /// The kernel as it is booted for so long a test, and its arguments: each run on its own.
    fn runs(&self, length: Length) -> [(Kernel, &'static [&'static str]); 2] {
        match length {
            Length::Fast => [(self.one, &[]), (self.several, &[])],
            Length::Long | Length::Soak(_) => [(self.one, &[]), (self.long, &[LONG])],
        }
    }

    /// Builds and boots the kernel on one machine, and reports, figures included.
    pub(crate) fn run(&self, bench: &Bench<'_>, report: &mut Report) {
        let Some(file) = bench.build(self.one, report) else { return };
        let mut whole = Ran::Whole;
        for (kernel, arguments) in self.runs(bench.length) {
            let run = Booted { bench, kernel, file: &file, arguments };
            if run.run_whole(&name_of(bench.arch, kernel), &["figures "], report) == Ran::Broken {
                whole = Ran::Broken;
            }
        }
        Booted { bench, kernel: self.several, file: &file, arguments: self.sample }.run_sample(whole, report);
    }

    /// The names of one machine's tests; boots the kernel to ask it.
    ///
    /// # Errors
    ///
    /// The kernel cannot be built, or does not list its tests.
    pub(crate) fn list(&self, bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
        let name = bench.name(self.one);
        let listed = bench.listed(self.one)?;
        let of_run = |kernel: Kernel| {
            let (name, run) = (&name, name_of(bench.arch, kernel));
            listed.iter().filter_map(move |test| test.strip_prefix(name.as_str()).map(|test| format!("{run}{test}")))
        };
        let mut names: Vec<String> = self.runs(bench.length).iter().flat_map(|(kernel, _)| of_run(*kernel)).collect();
        names.push(format!("{name}::{AGREEMENT}"));
        Ok(names)
    }
}

/// The name of a run, which the names of its tests begin with.
fn name_of(arch: Arch, kernel: Kernel) -> String {
    let unit = if kernel.cpus == 1 { "cpu" } else { "cpus" };
    format!("{}::{}::{}_{unit}", arch.name(), kernel.name, kernel.cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_by_their_cpus() {
        let names = |kernel: ByCpus, length| kernel.runs(length).map(|(kernel, _)| name_of(Arch::Aarch64, kernel));
        assert_eq!(names(BYTECODE, Length::Fast), ["aarch64::bytecode::1_cpu", "aarch64::bytecode::2_cpus"]);
        assert_eq!(names(HEAP, Length::Long), ["aarch64::heap::1_cpu", "aarch64::heap::4_cpus"]);
        assert_eq!(names(SCHEDULER, Length::Long), ["aarch64::scheduler::1_cpu", "aarch64::scheduler::4_cpus"]);
    }

    #[test]
    fn all_runs_are_of_one_kernel() {
        for kernel in [HEAP, BYTECODE, SCHEDULER] {
            for (run, _) in kernel.runs(Length::Fast).into_iter().chain(kernel.runs(Length::Long)) {
                assert_eq!(run.name, kernel.one.name);
            }
        }
    }
}
