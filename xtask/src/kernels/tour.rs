//! The demo kernel, as tests: it passes, it fits the terminal, and its log decodes.

use super::bench::Bench;
use super::claims::decoding;
use super::kernel::{DEMO, PLAIN};
use crate::log::DECODING;
use crate::qemu::Outcome;
use crate::term::{COLUMNS, columns, plain};
use crate::verdict::{Report, Verdict};

/// The test that the demo stays within the terminal.
const FITTING: &str = "every line fits 80 columns";

/// Builds and boots the kernel, and reports.
pub(crate) fn run(bench: &Bench<'_>, report: &mut Report) {
    let name = bench.name(DEMO);
    let Some(file) = bench.build(DEMO, report) else { return };
    let [fits, decodes] = [FITTING, DECODING].map(|test| format!("{name}::{test}"));
    let run = bench.boot(DEMO, &file, PLAIN, None);
    let why = match &run.outcome {
        Outcome::Passed => statements(&run.console).err(),
        other => Some(other.describe()),
    };
    if let Some(why) = why {
        report.add(&Verdict::failed(&name, why));
        report.explain(&run.transcript());
        return [fits, decodes].iter().for_each(|test| bench.report_not_run(test, report));
    }
    bench.report(&Verdict::passed(&name), report);
    bench.report(&fitting(&fits, &run.console), report);
    if bench.selection.has(&decodes) {
        report.add(&decoding(bench, DEMO, &decodes, &file));
    }
}

/// The names of the tests.
pub(crate) fn list(bench: &Bench<'_>) -> Vec<String> {
    let name = bench.name(DEMO);
    let others = [FITTING, DECODING].map(|test| format!("{name}::{test}"));
    [name].into_iter().chain(others).collect()
}

/// The number of statements that the demo printed, if it says last that all of them hold, and they are as many.
///
/// # Errors
///
/// What is wrong with what it printed.
pub(crate) fn statements(console: &[String]) -> Result<usize, String> {
    let lines: Vec<String> = console.iter().map(|line| plain(line).trim_end().to_owned()).collect();
    let last = lines.iter().rfind(|line| !line.is_empty()).map_or("", String::as_str);
    let said = last.strip_prefix("All ").and_then(|rest| rest.strip_suffix(" statements hold."));
    let Some(said) = said.and_then(|count| count.parse::<usize>().ok()) else {
        return Err(
            "QEMU's exit status says \"passed\", but the demo does not end with \"All N statements hold.\"".into()
        );
    };
    let held = lines.iter().filter(|line| line.starts_with("ok ")).count();
    if held == said {
        Ok(said)
    } else {
        Err(format!("the demo says that {said} statements hold; its lines say {held}"))
    }
}

fn fitting(name: &str, console: &[String]) -> Verdict {
    match console.iter().find(|line| columns(line) > COLUMNS) {
        None => Verdict::passed(name),
        Some(line) => Verdict::failed(name, format!("{} columns: {line}", columns(line))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(console: &str) -> Option<usize> {
        statements(&console.lines().map(String::from).collect::<Vec<_>>()).ok()
    }

    #[test]
    fn only_the_last_words_of_the_demo_are_a_pass() {
        assert_eq!(said("ok     a\nok     b\n\nAll 2 statements hold.\n\n"), Some(2));
        assert_eq!(said("\x1b[32mok\x1b[0m     a\n\x1b[32mAll 1 statements hold.\x1b[0m\n"), Some(1));
        for console in [
            "",
            "garbage",
            "All 2 statements hold.",
            "ok     a\nAll 1 statements hold.\ngarbage",
            "ok     a\nAll 2 statements hold.",
        ] {
            assert_eq!(said(console), None, "{console}");
        }
    }

    #[test]
    fn a_line_of_81_columns_is_too_long() {
        let fits = |line: String| !fitting("k", &[line]).is_failure();
        assert!(fits("x".repeat(80)) && !fits("x".repeat(81)));
        assert!(fits(format!("\x1b[32m{}\x1b[0m", "x".repeat(80))), "colours take no columns");
    }
}
