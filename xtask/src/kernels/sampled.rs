//! Test kernels that cannot run as a whole under QEMU's log: it would be gigabytes, or keep the CPUs from running at
//! once. They run without; and then a sample of their tests runs again under the log, where the kernel's count of page
//! faults or data aborts must agree with it.

use std::fs;
use std::path::Path;

use super::bench::{Bench, Ran};
use super::judge::{AGREEMENT, agreement, judge, logged};
use super::kernel::Kernel;
use crate::verdict::{Report, Verdict};

/// A built kernel, as it is booted on one machine.
pub(super) struct Booted<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) kernel: Kernel,
    pub(super) file: &'a Path,
    pub(super) arguments: &'a [&'a str],
}

impl Booted<'_> {
    /// Runs it without the log, and reports each test under `name`. Lines that begin with one of `figures` are shown:
    /// they are for people who want to see how much was done.
    pub(super) fn run_whole(&self, name: &str, figures: &[&str], report: &mut Report) -> Ran {
        let Self { bench, kernel, file, arguments } = self;
        let is_of_sample = |test: &&str| *test == AGREEMENT;
        let words: Vec<&str> = bench.words(name).into_iter().filter(|word| !is_of_sample(word)).collect();
        if !bench.wants_any(name) || (words.is_empty() && bench.words(name).iter().any(is_of_sample)) {
            return Ran::Whole;
        }
        let run = bench.boot(*kernel, file, &[arguments, words.as_slice()].concat(), None);
        for line in run.console.iter().filter(|line| is_figure(line, figures)) {
            eprintln!("   {line}");
        }
        bench.report_run(name, *kernel, file, &run, report)
    }

    /// Runs it under the log, which is kept if it does not agree with the kernel; not if it did not even run without.
    pub(super) fn run_sample(&self, whole: Ran, report: &mut Report) {
        let Self { bench, kernel, file, arguments } = self;
        let name = bench.name(*kernel);
        let test = format!("{name}::{AGREEMENT}");
        if whole == Ran::Broken {
            return bench.report_not_run(&test, report);
        }
        if !bench.selection.has(&test) {
            return;
        }
        let log = bench.workspace.exception_log(bench.arch, kernel.name);
        let sample = bench.boot(*kernel, file, arguments, Some(&log));
        let mut verdict = agreement(&name, &sample, logged(bench.arch, &log));
        // What its tests found counts here, too: a sample of none would agree with anything.
        let (verdicts, _) = judge(&name, &sample);
        if let Some(failed) = verdicts.iter().find(|verdict| verdict.is_failure()) {
            verdict = Verdict { name: verdict.name, result: failed.result.clone() };
        }
        report.add(&verdict);
        if verdict.is_failure() {
            report.explain(&sample.transcript());
            report.explain(&[format!("[QEMU's exception log: {}]", log.display())]);
        } else {
            let _ = fs::remove_file(&log);
        }
    }
}

fn is_figure(line: &str, figures: &[&str]) -> bool {
    figures.iter().any(|figure| line.starts_with(figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_from_what_counts() {
        let figures = ["figures ", "operations "];
        assert!(is_figure("figures a: 3 faults", &figures));
        assert!(is_figure("operations 1000000", &figures));
        assert!(!is_figure("ok figures", &figures));
        assert!(!is_figure("exceptions 3", &figures));
    }
}
