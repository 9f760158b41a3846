//! Test kernels that cannot run as a whole under QEMU's log: it would be gigabytes, or keep the CPUs from running at
//! once. They run without; and then a sample of their tests runs again under the log, where the kernel's count of page
//! faults or data aborts must agree with it.

use std::fs;
use std::path::Path;

use crate::arch::Arch;
use crate::claims::{agreement, boot, full_name, judge, logged};
use crate::kernel::Kernel;
use crate::qemu::Outcome;
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;

/// A built kernel, as it is booted on one machine.
pub(crate) struct Booted<'a> {
    pub(crate) arch: Arch,
    pub(crate) kernel: Kernel,
    pub(crate) file: &'a Path,
    pub(crate) arguments: &'a [&'a str],
}

impl Booted<'_> {
    /// Runs it without the log, and reports each test under `name`. Lines that begin with one of `figures` are shown:
    /// they are for people who want to see how much was done.
    pub(crate) fn run_whole(&self, workspace: &Workspace, name: &str, figures: &[&str], report: &mut Report) {
        let whole = boot(workspace, self.arch, self.kernel, self.file, self.arguments, None);
        for line in whole.console.iter().filter(|line| is_figure(line, figures)) {
            eprintln!("   {line}");
        }
        let verdicts = judge(name, &whole);
        verdicts.iter().for_each(|verdict| report.add(verdict));
        if verdicts.iter().any(Verdict::is_failure) {
            report.explain(&whole.transcript());
        }
    }

    /// Runs it under the log, which is kept if it does not agree with the kernel.
    pub(crate) fn run_sample(&self, workspace: &Workspace, report: &mut Report) {
        let log = workspace.exception_log(self.arch, self.kernel.name);
        let sample = boot(workspace, self.arch, self.kernel, self.file, self.arguments, Some(&log));
        let mut verdict = agreement(&full_name(self.arch, self.kernel), &sample, logged(self.arch, &log));
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
