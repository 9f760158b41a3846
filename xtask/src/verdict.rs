//! What a test found, and the report that prints and counts it.
//!
//! The report is read by people and by scripts: verdict lines and the summary go to standard output at the margin,
//! everything that explains a failure is indented, so that no captured text can pass for a verdict. Progress goes to
//! standard error.

use crate::status::Status;

/// The most lines that are shown of one failure.
const SHOWN_LINES: usize = 400;

/// One test and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The test's full name.
    pub(crate) name: String,
    /// What became of it.
    pub(crate) result: Outcome,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passed.
    Passed,
    /// It failed, and these lines say why (possibly none: they may come with the whole group's output).
    Failed(Vec<String>),
    /// It was told not to run; neither passed nor failed.
    Ignored,
}

impl Verdict {
    /// A test that passed.
    pub(crate) fn passed(name: impl Into<String>) -> Self {
        Self { name: name.into(), result: Outcome::Passed }
    }

    /// A test that failed, and why.
    pub(crate) fn failed(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), result: Outcome::Failed(vec![why.into()]) }
    }

    /// Whether it failed.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self.result, Outcome::Failed(_))
    }
}

/// Prints verdicts as they come and counts them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
}

impl Report {
    /// Prints a verdict and counts it.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        match &verdict.result {
            Outcome::Passed => {
                self.passed += 1;
                println!("ok {}", verdict.name);
            }
            Outcome::Failed(why) => {
                self.failed += 1;
                println!("FAILED {}", verdict.name);
                self.explain(why);
            }
            Outcome::Ignored => println!("ignored {}", verdict.name),
        }
    }

    /// Prints lines that explain what failed, indented; the last few hundred if there are more.
    #[expect(clippy::unused_self, reason = "printing between the verdicts is the report's business alone")]
    pub(crate) fn explain(&self, lines: &[String]) {
        let hidden = lines.len().saturating_sub(SHOWN_LINES);
        if hidden > 0 {
            println!("    | ({hidden} earlier lines left out)");
        }
        for line in &lines[hidden..] {
            println!("    | {line}");
        }
    }

    /// Prints the summary line, and says how the command ends. No test at all is a failure.
    pub(crate) fn finish(self) -> Status {
        println!("{}", self.summary());
        if self.failed == 0 && self.passed > 0 { Status::Success } else { Status::Failed }
    }

    fn summary(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_run_is_a_failure() {
        assert_eq!(Report::default().finish(), Status::Failed);
    }

    #[test]
    fn only_passes_make_a_success() {
        let mut report = Report { passed: 2, failed: 0 };
        assert_eq!(report.summary(), "2 passed, 0 failed");
        report.failed = 1;
        assert_eq!(report.finish(), Status::Failed);
        assert_eq!(Report { passed: 1, failed: 0 }.finish(), Status::Success);
    }
}
