//! The kernel that tries the library's claims, as tests.

use std::fs;

use super::bench::{Bench, Ran};
use super::judge::{AGREEMENT, agreement, logged};
use super::kernel::CLAIMS;
use crate::log::{self, DECODING};
use crate::status::Stop;
use crate::verdict::{Report, Verdict};

/// Builds and boots the kernel, and reports.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let name = bench.name(CLAIMS);
    let Some(file) = bench.build(CLAIMS, report) else { return };
    let [agrees, decodes] = [AGREEMENT, DECODING].map(|test| format!("{name}::{test}"));
    // Those are about all that the kernel does.
    let is_whole = [&agrees, &decodes].into_iter().any(|test| bench.selection.has(test));
    let words = if is_whole { Vec::new() } else { bench.words(&name) };
    let log = bench.workspace.exception_log(bench.arch, CLAIMS.name);
    let run = bench.boot(CLAIMS, &file, &words, Some(&log));
    if bench.report_run(&name, CLAIMS, &file, &run, report) == Ran::Broken {
        return [agrees, decodes].iter().for_each(|test| bench.report_not_run(test, report));
    }
    let agreement = agreement(&name, &run, logged(bench.arch, &log));
    bench.report(&agreement, report);
    if agreement.is_failure() {
        report.explain(&[format!("[QEMU's exception log: {}]", log.display())]);
    } else {
        // Some hundred bytes an exception: kept only where somebody will want to read it.
        let _ = fs::remove_file(&log);
    }
    if bench.selection.has(&decodes) {
        report.add(&decoding(bench, CLAIMS, &decodes, &file));
    }
}

/// The names of the tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
    let mut names = bench.listed(CLAIMS)?;
    names.extend([AGREEMENT, DECODING].map(|test| format!("{}::{test}", bench.name(CLAIMS))));
    Ok(names)
}

/// Whether the log of a kernel's last run decodes, and contains what it must.
pub(super) fn decoding(
    bench: &Bench<'_>,
    kernel: super::kernel::Kernel,
    name: &str,
    file: &std::path::Path,
) -> Verdict {
    let mut lines = Vec::new();
    let decoded = log::Viewer::build(bench.workspace)
        .and_then(|viewer| viewer.decode(file, &mut |line| lines.push(line.to_owned())));
    let missing = log::missing(&lines, kernel.messages);
    let why = decoded.err().or_else(|| missing.map(|text| format!("no message is `{text}`, where it must come")));
    why.map_or_else(|| Verdict::passed(name), |why| Verdict::failed(name, why))
}
