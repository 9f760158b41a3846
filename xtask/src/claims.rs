//! The kernels as tests: boots them and turns what they say into verdicts.
//!
//! A kernel's word is checked three ways: its exit status against its verdicts, its summary against its lines, and its
//! count of exceptions against the emulator's log. What does not fit becomes a failure of its own, with the console.

use std::fs;
use std::path::Path;

use crate::arch::Arch;
use crate::console::Console;
use crate::kernel::{CLAIMS, DEMO, Kernel, PLAIN};
use crate::log::Viewer;
use crate::qemu::{Machine, Outcome, Run};
use crate::route::Route;
use crate::status::Stop;
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;
use crate::{intlog, log};

/// The test that compares the kernel's count of exceptions with QEMU's log.
pub(crate) const AGREEMENT: &str = "exceptions agree with QEMU's log";
/// The test that decodes what the kernel logged.
const DECODING: &str = "defmt stream decodes";

/// Builds and boots the kernels of one machine, and reports.
pub(crate) fn run(workspace: &Workspace, route: &Route, arch: Arch, report: &mut Report) {
    match build(workspace, route, arch, CLAIMS) {
        Err(verdict) => report.add(&verdict),
        Ok(kernel) => {
            let log = workspace.exception_log(arch, CLAIMS.name);
            let run = boot(workspace, arch, CLAIMS, &kernel, &[], Some(&log));
            let name = full_name(arch, CLAIMS);
            let mut verdicts = judge(&name, &run);
            verdicts.push(agreement(&name, &run, logged(arch, &log)));
            verdicts.push(log_verdict(workspace, arch, CLAIMS, &kernel));
            verdicts.iter().for_each(|verdict| report.add(verdict));
            if verdicts.iter().any(Verdict::is_failure) {
                report.explain(&run.transcript());
                report.explain(&[format!("[QEMU's exception log: {}]", log.display())]);
            } else {
                // Some hundred bytes an exception: kept only where somebody will want to read it.
                let _ = fs::remove_file(&log);
            }
        }
    }
    match build(workspace, route, arch, DEMO) {
        Err(verdict) => report.add(&verdict),
        Ok(kernel) => {
            let run = boot(workspace, arch, DEMO, &kernel, PLAIN, None);
            let name = full_name(arch, DEMO);
            if run.outcome == Outcome::Passed {
                report.add(&Verdict::passed(name));
            } else {
                report.add(&Verdict::failed(name, run.outcome.describe()));
                report.explain(&run.transcript());
            }
            report.add(&log_verdict(workspace, arch, DEMO, &kernel));
        }
    }
}

/// The names of one machine's tests; boots the test kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(workspace: &Workspace, route: &Route, arch: Arch) -> Result<Vec<String>, Stop> {
    let mut names = listed(workspace, route, arch, CLAIMS)?;
    names.push(format!("{}::{AGREEMENT}", full_name(arch, CLAIMS)));
    names.push(full_name(arch, DEMO));
    names.extend([CLAIMS, DEMO].map(|kernel| format!("{}::{DECODING}", full_name(arch, kernel))));
    Ok(names)
}

/// The names of a test kernel's tests; boots it to ask.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn listed(workspace: &Workspace, route: &Route, arch: Arch, kernel: Kernel) -> Result<Vec<String>, Stop> {
    let name = full_name(arch, kernel);
    let file = kernel.build(workspace, route, arch).map_err(Stop::not_ready)?;
    let run = boot(workspace, arch, kernel, &file, &["list"], None);
    let listed = Console::read(&run.console).listed;
    if run.outcome != Outcome::Passed || listed.is_empty() {
        let transcript = run.transcript().join("\n    ");
        return Err(Stop::not_ready(format!("{name} lists no tests: {}\n    {transcript}", run.outcome.describe())));
    }
    Ok(listed.iter().map(|test| format!("{name}::{test}")).collect())
}

/// What a run of a test kernel comes to.
pub(crate) fn judge(name: &str, run: &Run) -> Vec<Verdict> {
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
    if let Some(why) = defect {
        verdicts.push(Verdict::failed(name, why));
    }
    verdicts
}

/// The number of exceptions in QEMU's log.
pub(crate) fn logged(arch: Arch, log: &Path) -> Result<u64, String> {
    intlog::count_in_file(arch, log).map_err(|error| format!("no log of QEMU's: {error}"))
}

/// Whether the kernel has counted as many exceptions as QEMU has logged.
pub(crate) fn agreement(name: &str, run: &Run, logged: Result<u64, String>) -> Verdict {
    let why = match (Console::read(&run.console).exceptions, logged) {
        (Some(counted), Ok(logged)) if counted == logged => None,
        (Some(counted), Ok(logged)) => Some(format!("the kernel counted {counted}, QEMU logged {logged}")),
        (None, _) => Some("the kernel printed no `exceptions N`".to_owned()),
        (_, Err(why)) => Some(why),
    };
    let agreement = format!("{name}::{AGREEMENT}");
    why.map_or_else(|| Verdict::passed(&agreement), |why| Verdict::failed(&agreement, why))
}

/// Whether the kernel's log decodes, and contains what it must.
fn log_verdict(workspace: &Workspace, arch: Arch, kernel: Kernel, file: &Path) -> Verdict {
    let name = format!("{}::{DECODING}", full_name(arch, kernel));
    let mut lines = Vec::new();
    let decoded =
        Viewer::build(workspace).and_then(|viewer| viewer.decode(file, &mut |line| lines.push(line.to_owned())));
    let missing = log::missing(&lines, kernel.messages);
    let why = decoded.err().or_else(|| missing.map(|text| format!("no message is `{text}`, where it must come")));
    why.map_or_else(|| Verdict::passed(&name), |why| Verdict::failed(&name, why))
}

pub(crate) fn full_name(arch: Arch, kernel: Kernel) -> String {
    format!("{}::{}", arch.name(), kernel.name)
}

pub(crate) fn build(
    workspace: &Workspace,
    route: &Route,
    arch: Arch,
    kernel: Kernel,
) -> Result<std::path::PathBuf, Verdict> {
    kernel.build(workspace, route, arch).map_err(|why| Verdict::failed(full_name(arch, kernel), why))
}

pub(crate) fn boot(
    workspace: &Workspace,
    arch: Arch,
    kernel: Kernel,
    file: &Path,
    arguments: &[&str],
    exception_log: Option<&Path>,
) -> Run {
    if let Some(log) = exception_log {
        // An earlier run's log must not be taken for this one's.
        let _ = fs::remove_file(log);
    }
    let stream = log::stream(file);
    let _ = fs::remove_file(&stream);
    let log = (!kernel.messages.is_empty()).then_some(stream.as_path());
    let emulator = &workspace.program(arch.qemu());
    let machine = Machine { arch, emulator, kernel: file, cpus: kernel.cpus, arguments, log, exception_log };
    let run = machine.run(kernel.limit(), &mut |_| {});
    eprintln!("   {}: {:.1} s in QEMU", full_name(arch, kernel), run.elapsed.as_secs_f64());
    run
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
        let mut verdicts = judge("k", run);
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
}
