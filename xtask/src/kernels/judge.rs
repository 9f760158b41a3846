//! What a run of a test kernel comes to.

use std::path::Path;

use super::bench::Ran;
use super::console::Console;
use super::intlog;
use crate::arch::Arch;
use crate::qemu::{Outcome, Run};
use crate::verdict::Verdict;

/// The test that compares the kernel's count of exceptions with QEMU's log.
pub(crate) const AGREEMENT: &str = "exceptions agree with QEMU's log";

/// The verdicts under `name`, with one about the kernel itself if something is wrong with the run as such.
pub(super) fn judge(name: &str, run: &Run) -> (Vec<Verdict>, Ran) {
    let console = Console::read(&run.console);
    let mut verdicts: Vec<Verdict> = console
        .verdicts
        .iter()
        .map(|verdict| Verdict { name: format!("{name}::{}", verdict.name), result: verdict.result.clone() })
        .collect();
    let any_failed = verdicts.iter().any(Verdict::is_failure);
    let defect = match &run.outcome {
        Outcome::Passed if any_failed => Some("the kernel says \"passed\", but a test failed".to_owned()),
        Outcome::Failed if !any_failed && console.defect().is_none() => {
            Some("the kernel says \"failed\", but no test did".to_owned())
        }
        Outcome::Passed | Outcome::Failed => console.defect(),
        Outcome::Qemu(_) | Outcome::Hung(_) => Some(run.outcome.describe()),
    };
    // Where there is a summary, what follows it did not keep a test from running.
    let has_ended = matches!(run.outcome, Outcome::Passed | Outcome::Failed) && console.summary.is_some();
    if let Some(why) = defect {
        verdicts.push(Verdict::failed(name, why));
    }
    (verdicts, if has_ended { Ran::Whole } else { Ran::Broken })
}

/// Whether the kernel has counted as many exceptions as QEMU has logged.
pub(super) fn agreement(name: &str, run: &Run, logged: Result<u64, String>) -> Verdict {
    let why = match (Console::read(&run.console).exceptions, logged) {
        (Some(counted), Ok(logged)) if counted == logged => None,
        (Some(counted), Ok(logged)) => Some(format!("the kernel counted {counted}, QEMU logged {logged}")),
        (None, _) => Some("the kernel printed no `exceptions N`".to_owned()),
        (_, Err(why)) => Some(why),
    };
    let agreement = format!("{name}::{AGREEMENT}");
    why.map_or_else(|| Verdict::passed(&agreement), |why| Verdict::failed(&agreement, why))
}

/// The number of exceptions in QEMU's log.
pub(super) fn logged(arch: Arch, log: &Path) -> Result<u64, String> {
    intlog::count_in_file(arch, log).map_err(|error| format!("no log of QEMU's: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn run(outcome: Outcome, console: &str) -> Run {
        let console = console.lines().map(String::from).collect();
        Run { outcome, console, complaints: Vec::new(), elapsed: Duration::ZERO }
    }

    fn all(run: &Run, logged: Result<u64, String>) -> Vec<Verdict> {
        let (mut verdicts, _) = judge("k", run);
        verdicts.push(agreement("k", run, logged));
        verdicts
    }

    fn failures(run: &Run, logged: Result<u64, String>) -> Vec<String> {
        all(run, logged).into_iter().filter(Verdict::is_failure).map(|verdict| verdict.name).collect()
    }

    #[test]
    fn a_good_run_passes_whole() {
        let good = run(Outcome::Passed, "hello\nok a\nok b\nexceptions 3\n2 passed, 0 failed\n");
        let names: Vec<String> = all(&good, Ok(3)).into_iter().map(|verdict| verdict.name).collect();
        assert_eq!(names, ["k::a", "k::b", "k::exceptions agree with QEMU's log"]);
        assert_eq!(failures(&good, Ok(3)), Vec::<String>::new());
    }

    #[test]
    fn a_failed_test_is_one_failure() {
        let bad = run(Outcome::Failed, "ok a\nFAILED b: why\nexceptions 0\n1 passed, 1 failed\n");
        assert_eq!(failures(&bad, Ok(0)), ["k::b"]);
    }

    #[test]
    fn exceptions_must_agree() {
        let good = run(Outcome::Passed, "ok a\nexceptions 3\n1 passed, 0 failed\n");
        assert_eq!(failures(&good, Ok(4)), ["k::exceptions agree with QEMU's log"]);
        assert_eq!(failures(&good, Err("no log".to_owned())), ["k::exceptions agree with QEMU's log"]);
        let silent = run(Outcome::Passed, "ok a\n1 passed, 0 failed\n");
        assert_eq!(failures(&silent, Ok(0)), ["k::exceptions agree with QEMU's log"]);
    }

    #[test]
    fn an_exit_status_that_contradicts_the_lines_is_a_failure() {
        let says_passed = run(Outcome::Passed, "FAILED a: b\nexceptions 0\n0 passed, 1 failed\n");
        assert_eq!(failures(&says_passed, Ok(0)), ["k::a", "k"]);
        let says_failed = run(Outcome::Failed, "ok a\nexceptions 0\n1 passed, 0 failed\n");
        assert_eq!(failures(&says_failed, Ok(0)), ["k"]);
    }

    #[test]
    fn a_run_that_did_not_end_well_is_a_failure_whatever_it_printed() {
        let whole = "ok a\nexceptions 0\n1 passed, 0 failed\n";
        for outcome in [Outcome::Hung(Duration::from_secs(60)), Outcome::Qemu("signal: 11".to_owned())] {
            assert_eq!(failures(&run(outcome, whole), Ok(0)), ["k"]);
        }
        assert_eq!(failures(&run(Outcome::Failed, "ok a\npanicked"), Ok(0))[0], "k");
    }

    #[test]
    fn a_run_without_its_end_is_broken() {
        let ran = |outcome, console: &str| judge("k", &run(outcome, console)).1;
        assert_eq!(ran(Outcome::Passed, "ok a\n1 passed, 0 failed\n"), Ran::Whole);
        assert_eq!(ran(Outcome::Failed, "FAILED a: b\n0 passed, 1 failed\n"), Ran::Whole);
        assert_eq!(ran(Outcome::Failed, "ok a\npanicked"), Ran::Broken);
        assert_eq!(ran(Outcome::Passed, "garbage\n"), Ran::Broken);
        assert_eq!(ran(Outcome::Hung(Duration::from_secs(60)), "ok a\n1 passed, 0 failed\n"), Ran::Broken);
    }

    #[test]
    fn garbage_is_no_pass() {
        assert_eq!(failures(&run(Outcome::Passed, "garbage\n"), Ok(0))[0], "k");
    }
}
