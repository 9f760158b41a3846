//! Runs the protocol models of `docs/model`: what must hold, and the breakages that must be caught.
//!
//! A model that finds nothing wrong with a broken protocol checks nothing. So each rule is also left out on purpose, and
//! the model must then report a violation of the very invariant that the rule guards, in the fewest operations in which
//! it can be seen.

use std::process::Command;

use crate::child::{self, End, Event, Streams};
use crate::part::Selection;
use crate::pulse::Pulse;
use crate::term;
use crate::verdict::{Outcome, Report, Verdict};
use crate::workspace::Workspace;

/// What the cases' names begin with.
pub(crate) const PREFIX: &str = "model::";

/// One run of a model.
#[derive(Debug)]
struct Case {
    /// The model's short name.
    model: &'static str,
    /// Its arguments: the sizes, and the breakage if there is one.
    arguments: &'static str,
    /// What its output must begin or, if all states hold, end with.
    expected: Expected,
}

/// What a run must come to.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// Every state holds.
    Holds,
    /// A violation of this invariant, or of what a model calls so.
    Violates(&'static str),
}
use Expected::{Holds, Violates};

const fn case(model: &'static str, arguments: &'static str, expected: Expected) -> Case {
    Case { model, arguments, expected }
}

/// All runs; the sizes of the breakages are the smallest at which they are caught.
const CASES: [Case; 26] = [
    case("protocol", "2 5", Holds),
    case("protocol", "2 5 x86", Holds),
    case("protocol", "2 2 noflush_alloc", Violates("I2")),
    case("protocol", "2 2 noflush_free", Violates("I5")),
    case("protocol", "2 3 noflush_heal", Violates("I2")),
    case("protocol", "2 3 early_unclaim", Violates("I2")),
    case("protocol", "2 3 nobbm", Violates("I1")),
    case("protocol", "2 5 notag", Violates("I1")),
    case("protocol", "2 2 gap", Violates("I5")),
    case("protocol", "2 1 late_count", Violates("marks")),
    case("protocol", "2 2 early_count", Violates("marks")),
    case("protocol", "2 3 early_settle", Violates("I1")),
    case("protocol", "2 4 settle_blindly", Violates("I2")),
    case("protocol", "2 4 late_clear", Violates("scratch")),
    case("protocol", "2 4 early_clear", Violates("scratch")),
    case("views", "5", Holds),
    case("views", "3 linkfirst", Violates("I5")),
    case("views", "4 unlistfirst", Violates("I5")),
    case("views", "3 readfirst", Violates("I5")),
    case("views", "5 x86", Holds),
    case("views", "4 healfirst", Violates("I2")),
    case("views", "4 fault_kernel", Violates("I1")),
    case("views", "4 heal_kernel", Violates("I2")),
    case("views", "2 lazy_unclaimed", Violates("I5")),
    case("views", "4 look_once", Violates("refused")),
    case("views", "2 user_scratch", Violates("scratch")),
];

impl Case {
    fn name(&self) -> String {
        format!("{PREFIX}{} {}", self.model, self.arguments)
    }

    fn run(&self, workspace: &Workspace) -> Verdict {
        let name = self.name();
        let mut python = Command::new(workspace.program("python3"));
        python.arg(workspace.model(&format!("{}_model.py", self.model))).args(self.arguments.split(' '));
        let (mut said, mut complaints) = (Vec::new(), Vec::new());
        let mut pulse = Pulse::new(&name, None);
        let end = child::watch(python, Streams::Apart, None, &mut |event| match event {
            Event::Out(line) => said.push(line.to_owned()),
            Event::Err(line) => complaints.push(line.to_owned()),
            Event::Beat(elapsed) => pulse.beat(elapsed),
        });
        let status = match end {
            Ok(End::Exited(status)) => status,
            Ok(End::TimedOut) => return Verdict::failed(name, "stopped"),
            Err(error) => return Verdict::failed(name, format!("python3 did not run: {error}")),
        };
        if self.expected.is_met(status.code(), &said.join("\n")) {
            return Verdict::passed(name);
        }
        let mut why = vec![format!("expected: {:?}; it ended with {status}", self.expected)];
        why.extend(said.into_iter().chain(complaints));
        Verdict { name, result: Outcome::Failed(why) }
    }
}

impl Expected {
    fn is_met(self, code: Option<i32>, said: &str) -> bool {
        match self {
            Holds => code == Some(0) && said.trim_end().ends_with(" states hold"),
            Violates(invariant) => code == Some(1) && said.starts_with(&format!("VIOLATION {invariant}:")),
        }
    }
}

/// Runs every case of the selection and reports it.
pub(crate) fn run(workspace: &Workspace, selection: &Selection, report: &mut Report) {
    term::title("protocol models");
    for case in CASES.iter().filter(|case| selection.has(&case.name())) {
        report.add(&case.run(workspace));
    }
}

/// The names of the cases.
pub(crate) fn list() -> Vec<String> {
    CASES.iter().map(Case::name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_violation_counts() {
        let said = "VIOLATION I2: slot M0, a TLB has S\n(…)\n";
        assert!(Violates("I2").is_met(Some(1), said));
        assert!(!Violates("I5").is_met(Some(1), said));
        assert!(!Violates("I2").is_met(Some(2), said));
        assert!(!Violates("I2").is_met(Some(1), "Traceback (most recent call last):\n"));
        assert!(!Violates("I2").is_met(Some(0), "50140 states hold\n"));
    }

    #[test]
    fn holding_is_said_and_meant() {
        assert!(Holds.is_met(Some(0), "50140 states hold\n"));
        assert!(!Holds.is_met(Some(1), "50140 states hold\n"));
        assert!(!Holds.is_met(Some(0), ""));
    }
}
