//! The smallest kernels, as tests: they rest on nothing of this repository's but the library, and know no command line. So
//! all of one runs whichever of its tests are wanted, and its tests are listed by running them.

use std::fs;

use super::bench::{Bench, Ran};
use super::console::Console;
use super::judge::{AGREEMENT, agreement, logged};
use super::kernel::MINIMAL;
use crate::qemu::Outcome;
use crate::status::Stop;
use crate::verdict::Report;

/// Builds and boots the kernel, and reports.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let name = bench.name(MINIMAL);
    let Some(file) = bench.build(MINIMAL, report) else { return };
    let log = bench.workspace.exception_log(bench.arch, MINIMAL.name);
    let run = bench.boot(MINIMAL, &file, &[], Some(&log));
    if bench.report_run(&name, MINIMAL, &file, &run, report) == Ran::Broken {
        return bench.report_not_run(&format!("{name}::{AGREEMENT}"), report);
    }
    bench.report(&agreement(&name, &run, logged(bench.arch, &log)), report);
    let _ = fs::remove_file(&log);
}

/// The names of the tests; boots the kernel to see them.
///
/// # Errors
///
/// The kernel cannot be built, or fails.
pub(crate) fn list(bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
    let name = bench.name(MINIMAL);
    let file = MINIMAL.build(bench.workspace, bench.route, bench.arch, &[]).map_err(Stop::not_ready)?;
    let run = bench.boot(MINIMAL, &file, &[], None);
    if run.outcome != Outcome::Passed {
        let transcript = run.transcript().join("\n    ");
        return Err(Stop::not_ready(format!("{name}: {}\n    {transcript}", run.outcome.describe())));
    }
    let verdicts = Console::read(&run.console).verdicts;
    let tests = verdicts.iter().map(|verdict| verdict.name.as_str()).chain([AGREEMENT]);
    Ok(tests.map(|test| format!("{name}::{test}")).collect())
}
