//! Runs the host's test suites and reports what libtest says.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use crate::child::{self, End, Event, Streams};
use crate::libtest::{self, Found, Reader};
use crate::part::Selection;
use crate::pulse::Pulse;
use crate::status::Stop;
use crate::suites::Suite;
use crate::term;
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;

/// Runs a suite and reports each test of the selection.
pub(crate) fn run(workspace: &Workspace, suite: &Suite, selection: &Selection, report: &mut Report) {
    let words = words(suite.prefix, selection);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run_cargo_test(suite.title, suite.prefix, cargo_test(workspace, suite, &words), selection, report);
}

/// The names of a suite's tests, as [`run`] reports them.
///
/// # Errors
///
/// The suite does not build.
pub(crate) fn list(workspace: &Workspace, suite: &Suite) -> Result<Vec<String>, Stop> {
    list_cargo_test(suite.title, suite.prefix, cargo_test(workspace, suite, &["--list"]))
}

/// Runs a `cargo test` and reports each test of the selection, under names with this prefix.
pub(crate) fn run_cargo_test(title: &str, prefix: &str, cargo: Command, selection: &Selection, report: &mut Report) {
    term::title(title);
    let started = Instant::now();
    let mut reader = Reader::new(prefix);
    let mut pulse = Pulse::new(title, None);
    let end = child::watch(cargo, Streams::Merged, None, &mut |event| match event {
        Event::Out(line) | Event::Err(line) => {
            tell(title, selection, report, reader.line(line));
            pulse.shown(started.elapsed());
        }
        Event::Beat(elapsed) => pulse.beat(elapsed),
    });
    match end {
        Ok(End::Exited(status)) => tell(title, selection, report, reader.end(status.success())),
        Ok(End::TimedOut) => tell(title, selection, report, reader.end(false)),
        Err(error) => {
            report.add(&Verdict::failed(format!("{prefix}cargo test"), error.to_string()));
            report.none_ran(title);
        }
    }
    term::note(&format!("{title}: {:.1} s", started.elapsed().as_secs_f64()));
}

/// The names that a `cargo test` lists, with this prefix.
///
/// # Errors
///
/// It does not build.
pub(crate) fn list_cargo_test(title: &str, prefix: &str, cargo: Command) -> Result<Vec<String>, Stop> {
    term::title(&format!("{title}: which there are"));
    let mut lines = Vec::new();
    let mut pulse = Pulse::new(title, None);
    let end = child::watch(cargo, Streams::Merged, None, &mut |event| match event {
        Event::Out(line) | Event::Err(line) => {
            lines.push(line.to_owned());
            pulse.heard();
        }
        Event::Beat(elapsed) => pulse.beat(elapsed),
    });
    match end {
        Ok(End::Exited(status)) if status.success() => Ok(libtest::list(prefix, &lines)),
        _ => Err(Stop::not_ready(format!("{}\n{title}: no list", lines.join("\n")))),
    }
}

/// Reports what was found; cargo's own messages go to stderr. What is not in the selection ran because its name contains
/// one that is.
fn tell(title: &str, selection: &Selection, report: &mut Report, found: Vec<Found>) {
    for item in found {
        match item {
            Found::Verdict(verdict) if verdict.is_failure() || selection.has(&verdict.name) => report.add(&verdict),
            Found::Verdict(_) => {}
            Found::Explanation(lines) => report.explain(&lines),
            Found::NotRun(binary, count) => report.not_run_of(&binary, count),
            Found::NoneRan => report.none_ran(title),
            Found::Cargo(line) if line.is_empty() => {}
            Found::Cargo(line) => eprintln!("{line}"),
        }
    }
}

/// What libtest is told to run of a selection: names without what stands before them here. Rustdoc takes apart what has
/// spaces; of its tests the file's name is told.
pub(crate) fn words(prefix: &str, selection: &Selection) -> Vec<String> {
    let names = selection.behind(prefix).unwrap_or_default();
    let of_libtest = names.iter().filter_map(|name| name.split_once("::")).map(|(_target, name)| name);
    let words: BTreeSet<&str> = of_libtest.map(|name| name.split(' ').next().unwrap_or(name)).collect();
    words.into_iter().map(String::from).collect()
}

/// The suite's `cargo test`, with these arguments for libtest.
///
/// What a user's settings could do to the output is undone: it is to be read by a program.
fn cargo_test(workspace: &Workspace, suite: &Suite, arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    child::forget_package(&mut cargo);
    cargo
        .current_dir(workspace.root())
        .args(["test", "--locked", "--no-fail-fast", "--color=never", "--target-dir"])
        .arg(workspace.target(suite.target))
        .args(suite.arguments)
        .arg("--")
        .args(arguments)
        .envs(suite.environment.iter().copied())
        .env("CARGO_TERM_QUIET", "false")
        .env("CARGO_TERM_VERBOSE", "false")
        .env_remove("RUST_TEST_NOCAPTURE");
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_is_told_its_own_names() {
        let names = ["loom::slab::frees", "loom::doc::src/addr.rs - addr::ArenaPtr (line 20)", "host::other"];
        let selection = Selection::new(names.map(String::from).to_vec(), &[String::new()]);
        assert_eq!(words("loom::", &selection), ["frees", "src/addr.rs"]);
        assert_eq!(words("", &Selection::All), [""; 0]);
    }
}
