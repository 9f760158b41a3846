//! What a test found, and the report that prints and counts it.
//!
//! The report is read by people and by scripts: verdict lines and the summary go to standard output at the margin,
//! everything that explains a failure is indented, so that no captured text can pass for a verdict. Progress goes to
//! standard error.
//!
//! A test that could not run is neither: it is named and counted, below what kept it from running, and nobody's success.

use crate::status::Status;
use crate::term::{self, Colours, Paint};

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
#[derive(Debug)]
pub(crate) struct Report {
    colours: Colours,
    passed: usize,
    failed: Vec<String>,
    not_run: usize,
    /// Those of which nobody knows how many tests they have, since none ran.
    none_ran: Vec<String>,
    /// What would have been printed, where another report prints at the same time.
    kept: Option<Vec<String>>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            colours: Colours::of_output(),
            passed: 0,
            failed: Vec::new(),
            not_run: 0,
            none_ran: Vec::new(),
            kept: None,
        }
    }

    /// An empty one that prints nothing, and keeps its lines until another [takes it in](Self::take_in).
    pub(crate) fn kept() -> Self {
        Self { kept: Some(Vec::new()), ..Self::new() }
    }

    /// Prints what a report has kept, and counts what it has counted.
    pub(crate) fn take_in(&mut self, other: Self) {
        other.kept.into_iter().flatten().for_each(|line| self.say(line));
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.not_run += other.not_run;
        self.none_ran.extend(other.none_ran);
    }

    fn say(&mut self, line: String) {
        match &mut self.kept {
            Some(kept) => kept.push(line),
            None => println!("{line}"),
        }
    }

    /// Prints a verdict and counts it.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        let name = &verdict.name;
        match &verdict.result {
            Outcome::Passed => {
                self.passed += 1;
                self.say(format!("{} {name}", self.colours.paint(Paint::Green, "ok")));
            }
            Outcome::Failed(why) => {
                self.failed.push(name.clone());
                self.say(format!("{} {name}", self.colours.paint(Paint::Red, "FAILED")));
                self.explain(why);
            }
            Outcome::Ignored => self.say(format!("{} {name}", self.colours.paint(Paint::Yellow, "ignored"))),
        }
    }

    /// Counts a test that could not run, for a reason that is reported.
    pub(crate) fn not_run(&mut self, name: &str) {
        self.not_run += 1;
        self.say(format!("{} {name}", self.colours.paint(Paint::Yellow, "not run")));
    }

    /// Counts so many tests of a group that could not run, whose names are not known.
    pub(crate) fn not_run_of(&mut self, group: &str, count: usize) {
        self.not_run += count;
        self.say(format!("{} {group}: {count} of its tests", self.colours.paint(Paint::Yellow, "not run")));
    }

    /// Notes a group of tests none of which ran, for a reason that is reported.
    pub(crate) fn none_ran(&mut self, group: &str) {
        self.say(format!("{} {group}: none of its tests", self.colours.paint(Paint::Yellow, "not run")));
        self.none_ran.push(group.to_owned());
    }

    /// Prints lines that explain what failed, indented; the last few hundred if there are more.
    pub(crate) fn explain(&mut self, lines: &[String]) {
        let hidden = lines.len().saturating_sub(SHOWN_LINES);
        if hidden > 0 {
            self.say(format!("    | ({hidden} earlier lines left out)"));
        }
        for line in &lines[hidden..] {
            self.say(format!("    | {line}"));
        }
    }

    /// Prints once more what failed, and the summary line, and says how the command ends. No test at all is a failure.
    pub(crate) fn finish(self) -> Status {
        if !self.failed.is_empty() {
            term::title("what failed");
            self.failed.iter().for_each(|name| eprintln!("   {name}"));
        }
        if let Some(remark) = self.left_out() {
            term::wrapped(&remark, 0, 2).iter().for_each(|line| println!("{line}"));
        }
        println!("{}", self.summary());
        if self.is_success() { Status::Success } else { Status::Failed }
    }

    fn is_success(&self) -> bool {
        self.passed > 0 && self.failed.is_empty() && self.not_run == 0 && self.none_ran.is_empty()
    }

    /// How much did not run, if there is anything.
    fn left_out(&self) -> Option<String> {
        let groups = self.none_ran.join(", ");
        match (self.not_run, self.none_ran.is_empty()) {
            (0, true) => None,
            (0, false) => Some(format!("no test ran of {groups}")),
            (count, true) => Some(format!("{count} not run")),
            (count, false) => Some(format!("{count} not run, and none of {groups}")),
        }
    }

    fn summary(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_run_is_a_failure() {
        assert_eq!(Report::new().finish(), Status::Failed);
    }

    #[test]
    fn only_passes_make_a_success() {
        let mut report = Report::new();
        report.add(&Verdict::passed("a"));
        report.add(&Verdict::passed("b"));
        assert_eq!((report.summary().as_str(), report.is_success()), ("2 passed, 0 failed", true));
        report.add(&Verdict::failed("c", "why"));
        assert_eq!(report.summary(), "2 passed, 1 failed");
        assert_eq!(report.finish(), Status::Failed);
    }

    #[test]
    fn a_report_that_was_kept_counts_as_one_that_was_printed() {
        let mut kept = Report::kept();
        kept.add(&Verdict::passed("b"));
        kept.add(&Verdict::failed("c", "why"));
        kept.not_run("d");
        kept.none_ran("e");
        let lines = kept.kept.clone().unwrap_or_default().join("\n");
        for said in ["ok", "FAILED", "    | why", "not run", "none of its tests"] {
            assert!(lines.contains(said), "{lines}");
        }
        let mut report = Report::new();
        report.add(&Verdict::passed("a"));
        report.take_in(kept);
        assert_eq!(report.summary(), "2 passed, 1 failed");
        assert_eq!(report.left_out().as_deref(), Some("1 not run, and none of e"));
    }

    #[test]
    fn what_did_not_run_is_counted_and_no_success() {
        let mut report = Report::new();
        report.add(&Verdict::passed("a"));
        assert_eq!(report.left_out(), None);
        report.not_run("b");
        report.not_run_of("host", 2);
        assert_eq!((report.left_out().as_deref(), report.is_success()), (Some("3 not run"), false));
        report.none_ran("x86_64::claims");
        assert_eq!(report.left_out().as_deref(), Some("3 not run, and none of x86_64::claims"));
        assert_eq!((report.summary().as_str(), report.finish()), ("1 passed, 0 failed", Status::Failed));
    }
}
