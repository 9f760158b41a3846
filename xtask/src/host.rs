//! Runs the host's test suites and reports what libtest says.

use std::process::Command;
use std::time::Instant;

use crate::child::{self, End, Event, Streams};
use crate::libtest::{self, Found, Reader};
use crate::status::Stop;
use crate::suites::{SUITES, Suite};
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;

/// Runs every suite and reports each test.
pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    for suite in SUITES {
        eprintln!("== {}", suite.title);
        let started = Instant::now();
        let mut reader = Reader::new(suite.prefix);
        let end = child::watch(cargo_test(workspace, suite, &[]), Streams::Merged, None, &mut |event| {
            if let Event::Out(line) | Event::Err(line) = event {
                tell(report, reader.line(line));
            }
        });
        match end {
            Ok(End::Exited(status)) => tell(report, reader.end(status.success())),
            Ok(End::TimedOut) => tell(report, reader.end(false)),
            Err(error) => report.add(&Verdict::failed(format!("{}cargo test", suite.prefix), error.to_string())),
        }
        eprintln!("   {}: {:.1} s", suite.title, started.elapsed().as_secs_f64());
    }
}

/// The names of every suite's tests, as [`run`] reports them.
///
/// # Errors
///
/// A suite does not build.
pub(crate) fn list(workspace: &Workspace) -> Result<Vec<String>, Stop> {
    let mut names = Vec::new();
    for suite in SUITES {
        let mut lines = Vec::new();
        let end = child::watch(cargo_test(workspace, suite, &["--list"]), Streams::Merged, None, &mut |event| {
            if let Event::Out(line) | Event::Err(line) = event {
                lines.push(line.to_owned());
            }
        });
        match end {
            Ok(End::Exited(status)) if status.success() => names.extend(libtest::list(suite.prefix, &lines)),
            _ => {
                return Err(Stop::not_ready(format!("{}\n{}: no list", lines.join("\n"), suite.title)));
            }
        }
    }
    Ok(names)
}

/// Reports what was found; cargo's own messages go to stderr.
pub(crate) fn tell(report: &mut Report, found: Vec<Found>) {
    for item in found {
        match item {
            Found::Verdict(verdict) => report.add(&verdict),
            Found::Explanation(lines) => report.explain(&lines),
            Found::Cargo(line) if line.is_empty() => {}
            Found::Cargo(line) => eprintln!("{line}"),
        }
    }
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
