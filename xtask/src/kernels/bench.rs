//! What the kernels of one machine are tested with: built, booted, asked for their tests, and reported.

use std::fs;
use std::path::{Path, PathBuf};

use super::console::Console;
use super::judge::judge;
use super::kernel::Kernel;
use crate::arch::Arch;
use crate::cli::Length;
use crate::log;
use crate::part::Selection;
use crate::pulse::Pulse;
use crate::qemu::{Heard, Machine, Outcome, Run};
use crate::route::Route;
use crate::status::Stop;
use crate::term;
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;

/// The most bytes of names that a kernel is told; of more it runs all, and those that were asked for are reported.
const MOST_WORDS_BYTES: usize = 2048;

/// How a run ended, as far as those are concerned that build on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// All of it, whatever the verdicts.
    Whole,
    /// Not to its end.
    Broken,
}

/// One machine, and what is wanted of its kernels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) route: &'a Route,
    pub(crate) arch: Arch,
    pub(crate) length: Length,
    pub(crate) selection: &'a Selection,
    /// The kernels that are tested after this one, and where.
    pub(crate) following: &'a [(Kernel, Arch)],
}

impl Bench<'_> {
    /// What the names of a kernel's tests begin with.
    pub(crate) fn name(&self, kernel: Kernel) -> String {
        format!("{}::{}", self.arch.name(), kernel.name)
    }

    /// Builds a kernel; if it does not build, that is reported, and that none of its tests ran.
    pub(super) fn build(&self, kernel: Kernel, report: &mut Report) -> Option<PathBuf> {
        let name = self.name(kernel);
        term::title(&name);
        match kernel.build(self.workspace, self.route, self.arch, &kernel.also(self.arch, self.following)) {
            Ok(file) => Some(file),
            Err(why) => {
                report.add(&Verdict::failed(&name, why));
                report.none_ran(&name);
                None
            }
        }
    }

    /// Boots a kernel.
    pub(super) fn boot(&self, kernel: Kernel, file: &Path, arguments: &[&str], exception_log: Option<&Path>) -> Run {
        if let Some(log) = exception_log {
            // An earlier run's log must not be taken for this one's.
            let _ = fs::remove_file(log);
        }
        let stream = log::stream(file);
        let _ = fs::remove_file(&stream);
        let log = (!kernel.messages.is_empty()).then_some(stream.as_path());
        let emulator = &self.workspace.program(self.arch.qemu());
        let program = kernel.program(file);
        let machine = Machine {
            arch: self.arch,
            emulator,
            kernel: file,
            program: program.as_deref(),
            cpus: kernel.cpus,
            clock: kernel.clock,
            arguments,
            log,
            exception_log,
        };
        let name = self.name(kernel);
        let run = machine.run(&mut Pulse::new(&name, Some(kernel.limit())), &mut |line| {
            // One would not wait for an hour's end to see them.
            if !matches!(self.length, Length::Soak(_)) || !line.starts_with("round ") {
                return Heard::Only;
            }
            eprintln!("   {line}");
            Heard::Shown
        });
        term::note(&format!("{name}: {:.1} s in QEMU", run.elapsed.as_secs_f64()));
        run
    }

    /// The full names of a test kernel's tests; boots it to ask.
    ///
    /// # Errors
    ///
    /// The kernel cannot be built, or does not list its tests.
    pub(super) fn listed(&self, kernel: Kernel) -> Result<Vec<String>, Stop> {
        let name = self.name(kernel);
        let file = kernel.build(self.workspace, self.route, self.arch, &[]).map_err(Stop::not_ready)?;
        let listed = self.tests_of(kernel, &file).map_err(|run| {
            let transcript = run.transcript().join("\n    ");
            Stop::not_ready(format!("{name} lists no tests: {}\n    {transcript}", run.outcome.describe()))
        })?;
        Ok(listed.iter().map(|test| format!("{name}::{test}")).collect())
    }

    /// A kernel's own names of its tests, or the run in which it did not tell.
    fn tests_of(&self, kernel: Kernel, file: &Path) -> Result<Vec<String>, Run> {
        let run = self.boot(kernel, file, &["list"], None);
        let listed = Console::read(&run.console).listed;
        if run.outcome == Outcome::Passed && !listed.is_empty() { Ok(listed) } else { Err(run) }
    }

    /// The kernel's own names of the tests that are wanted of those whose full names begin with `name`: what it is to be
    /// told. Nothing if that is all of them.
    pub(super) fn words(&self, name: &str) -> Vec<&str> {
        let words = self.selection.behind(&format!("{name}::")).unwrap_or_default();
        let bytes: usize = words.iter().map(|word| word.len() + 1).sum();
        if bytes > MOST_WORDS_BYTES { Vec::new() } else { words }
    }

    /// Whether a test whose full name begins with this is wanted.
    pub(super) fn wants_any(&self, name: &str) -> bool {
        self.selection.behind(&format!("{name}::")).is_none_or(|names| !names.is_empty())
    }

    /// Reports a verdict if it is wanted, and any failure.
    pub(super) fn report(&self, verdict: &Verdict, report: &mut Report) {
        if verdict.is_failure() || self.selection.has(&verdict.name) {
            report.add(verdict);
        }
    }

    /// Reports that a test did not run, if it is wanted.
    pub(super) fn report_not_run(&self, name: &str, report: &mut Report) {
        if self.selection.has(name) {
            report.not_run(name);
        }
    }

    /// Reports what a run of a test kernel came to: the verdicts, under `name`; what else is wrong, with the console; and
    /// which tests did not run for that reason.
    pub(super) fn report_run(&self, name: &str, kernel: Kernel, file: &Path, run: &Run, report: &mut Report) -> Ran {
        self.report_verdicts(name, kernel, file, run, judge(name, run), report)
    }

    /// The same with verdicts that somebody has had a look at.
    pub(super) fn report_verdicts(
        &self,
        name: &str,
        kernel: Kernel,
        file: &Path,
        run: &Run,
        (verdicts, ran): (Vec<Verdict>, Ran),
        report: &mut Report,
    ) -> Ran {
        verdicts.iter().for_each(|verdict| self.report(verdict, report));
        if verdicts.iter().any(Verdict::is_failure) {
            report.explain(&run.transcript());
        }
        if ran == Ran::Broken {
            match self.tests_of(kernel, file) {
                Ok(tests) => tests
                    .iter()
                    .map(|test| format!("{name}::{test}"))
                    .filter(|test| !verdicts.iter().any(|verdict| verdict.name == *test))
                    .for_each(|test| self.report_not_run(&test, report)),
                Err(_) => report.none_ran(name),
            }
        }
        ran
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_told_names_as_long_as_they_fit() {
        let Ok(workspace) = Workspace::find() else { panic!("no workspace") };
        let route = Route::Targets { linker: None };
        let words = |count: usize, selection: Option<Vec<String>>| {
            let names =
                selection.unwrap_or_else(|| (0..count).map(|number| format!("x86_64::k::{number:0>50}")).collect());
            let selection = Selection::new(names, &[String::new()]);
            let (workspace, route, selection) = (&workspace, &route, &selection);
            let bench = Bench { workspace, route, arch: Arch::X86_64, length: Length::Fast, selection, following: &[] };
            bench.words("x86_64::k").len()
        };
        assert_eq!(words(3, None), 3);
        assert_eq!(words(100, None), 0, "all of them");
        assert_eq!(words(0, Some(vec!["x86_64::l::a".to_owned()])), 0);
    }
}
