//! The kernel that counts instructions, as tests: each figure must be what it was, or less ([`crate::record`]). Beside it the
//! kernels that are only weighed.

use std::fs;
use std::path::Path;

use super::bench::{Bench, Ran};
use super::console::Console;
use super::judge::judge;
use super::kernel::COUNTS;
use crate::record::{Change, Figures, Record, percent, weigh};
use crate::status::Stop;
use crate::term;
use crate::verdict::{Outcome, Report, Verdict};

/// What is weighed, beside a kernel without any of it.
const FLOOR: &str = "size-floor";
const WEIGHED: [(&str, &str); 3] = [
    ("size::arena", "size-arena"),
    ("size::arena_and_heap", "size-heap"),
    ("size::arena_heap_and_programs", "size-programs"),
];

/// Builds and boots the kernel, compares, and reports.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let name = bench.name(COUNTS);
    let Some(file) = bench.build(COUNTS, report) else { return };
    let recorded = match Recorded::of(bench) {
        Ok(recorded) => recorded,
        Err(why) => {
            report.add(&Verdict::failed(&name, why));
            return report.none_ran(&name);
        }
    };
    let is_booted = |word: &&str| !WEIGHED.iter().any(|(test, _)| test == word);
    let words = bench.words(&name);
    let booted: Vec<&str> = words.iter().copied().filter(is_booted).collect();
    if bench.wants_any(&name) && (words.is_empty() || !booted.is_empty()) {
        let run = bench.boot(COUNTS, &file, &booted, None);
        let (mut verdicts, ran) = judge(&name, &run);
        let console = Console::read(&run.console);
        for (test, figure) in &console.counted {
            recorded.judge(&format!("{name}::{test}"), test, *figure, &mut verdicts);
        }
        if bench.report_verdicts(&name, COUNTS, &file, &run, (verdicts, ran), report) == Ran::Broken {
            return;
        }
    }
    for (test, weighed) in weights(&file) {
        let full = format!("{name}::{test}");
        let mut verdicts = vec![match &weighed {
            Ok(_) => Verdict::passed(&full),
            Err(why) => Verdict::failed(&full, why),
        }];
        if let Ok(bytes) = weighed {
            recorded.judge(&full, test, bytes, &mut verdicts);
        }
        verdicts.iter().for_each(|verdict| bench.report(verdict, report));
    }
}

/// The names of the tests; boots the kernel to ask it.
///
/// # Errors
///
/// The kernel cannot be built, or does not list its tests.
pub(crate) fn list(bench: &Bench<'_>) -> Result<Vec<String>, Stop> {
    let mut names = bench.listed(COUNTS)?;
    names.extend(WEIGHED.map(|(test, _)| format!("{}::{test}", bench.name(COUNTS))));
    Ok(names)
}

/// All figures of one machine, anew.
///
/// # Errors
///
/// One line about what went wrong: nothing is told of half a run.
pub(crate) fn figures(bench: &Bench<'_>) -> Result<Figures, String> {
    let name = bench.name(COUNTS);
    let file = COUNTS.build(bench.workspace, bench.route, bench.arch, &[])?;
    let run = bench.boot(COUNTS, &file, &[], None);
    let (verdicts, _) = judge(&name, &run);
    if let Some(Verdict { name, result: Outcome::Failed(why) }) = verdicts.iter().find(|verdict| verdict.is_failure()) {
        return Err(format!("{name}: {}", why.join(" ")));
    }
    let weighed = weights(&file).map(|(test, bytes)| Ok((test.to_owned(), bytes?)));
    Console::read(&run.console).counted.into_iter().map(Ok).chain(weighed).collect()
}

/// Bytes of code that each part adds to a kernel.
fn weights(kernel: &Path) -> impl Iterator<Item = (&'static str, Result<u64, String>)> {
    let bytes = |name: &str| {
        let file = kernel.with_file_name(name);
        let read = fs::read(&file).map_err(|error| error.to_string());
        read.and_then(|file| weigh::code_bytes(&file)).map_err(|why| format!("{}: {why}", file.display()))
    };
    let floor = bytes(FLOOR);
    WEIGHED.into_iter().map(move |(test, name)| {
        let added = floor.clone().and_then(|floor| bytes(name).map(|bytes| bytes.saturating_sub(floor)));
        (test, added)
    })
}

/// What is recorded of the compiler that builds here.
struct Recorded<'a> {
    bench: &'a Bench<'a>,
    compiler: String,
    record: Record,
}

impl<'a> Recorded<'a> {
    fn of(bench: &'a Bench<'a>) -> Result<Self, String> {
        let (compiler, record) = (bench.route.compiler()?, Record::read(bench.workspace)?);
        if record.of(&compiler, bench.arch).is_none() {
            term::note(&format!("nothing is recorded of {compiler}: figures are shown, not compared"));
        }
        Ok(Self { bench, compiler, record })
    }

    /// Shows a figure if it is another than the one recorded, and fails its test if it has risen.
    fn judge(&self, full: &str, test: &str, figure: u64, verdicts: &mut [Verdict]) {
        let change = self.record.compare(&self.compiler, self.bench.arch, test, figure);
        match change {
            Change::UnknownCompiler => term::note(&format!("{test}: {figure}")),
            Change::Within(recorded) if recorded != figure => {
                term::note(&format!("{test}: {figure}, was {recorded} ({})", percent(recorded, figure)));
            }
            Change::Within(_) | Change::Missing | Change::Risen(_) => {}
        }
        if let Some(why) = change.failure(figure)
            && let Some(verdict) = verdicts.iter_mut().find(|verdict| verdict.name == full && !verdict.is_failure())
        {
            *verdict = Verdict::failed(full, why);
        }
    }
}
