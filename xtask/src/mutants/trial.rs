//! One mutant: whether it is caught as it says.

use std::env;
use std::process::Command;
use std::time::Duration;

use super::patch::Patch;
use super::tree::Tree;
use crate::child::{self, End, Event, Streams};
use crate::pulse::Pulse;
use crate::status::Stop;

/// How long a test may take, its build not counted: one that a mutant keeps from ending is caught by no assertion.
const LIMIT: Duration = Duration::from_secs(300);

/// Whether cargo keeps the parts of what it compiles for the next time.
const INCREMENTAL: &str = "CARGO_INCREMENTAL";

/// How many lines of an output are shown.
const SHOWN: usize = 20;

/// What became of a mutant.
#[derive(Debug)]
pub(super) enum Fate {
    /// The test failed, in the words that were expected.
    Caught,
    /// The patch fits nowhere: what it breaks has changed.
    NotApplied(String),
    /// It does not compile.
    NotBuilt(Vec<String>),
    /// The test passed, or there is none of this name.
    Survived(&'static str),
    /// The test failed, in other words.
    Otherwise(Vec<String>),
}

impl Fate {
    /// What there is to say about it.
    pub(super) fn explanation(&self) -> Vec<String> {
        match self {
            Self::Caught => Vec::new(),
            Self::NotApplied(why) => {
                let mut lines = vec!["the patch does not apply any more: write it anew".to_owned()];
                lines.extend(why.lines().map(String::from));
                lines
            }
            Self::NotBuilt(said) => told("it does not compile, so nobody catches it", said),
            Self::Survived(why) => vec![(*why).to_owned()],
            Self::Otherwise(said) => told("the test failed, but not in the words that the patch names", said),
        }
    }
}

fn told(what: &str, said: &[String]) -> Vec<String> {
    let last = said.len().saturating_sub(SHOWN);
    std::iter::once(what.to_owned()).chain(said[last..].iter().cloned()).collect()
}

/// Puts the patch on the tree, builds its test and runs it.
///
/// # Errors
///
/// Cargo did not run.
pub(super) fn run(tree: &Tree, patch: &Patch) -> Result<Fate, Stop> {
    let _applied = match tree.apply(patch) {
        Ok(applied) => applied,
        Err(why) => return Ok(Fate::NotApplied(why)),
    };
    let (built, said) = cargo(tree, patch, &["--no-run"], None)?;
    if built != Some(true) {
        return Ok(Fate::NotBuilt(said));
    }
    let (passed, said) = cargo(tree, patch, &["--", "--exact", &patch.test.name], Some(LIMIT))?;
    Ok(judge(patch, passed, said))
}

/// What the run says. Without an end it was stopped.
fn judge(patch: &Patch, passed: Option<bool>, said: Vec<String>) -> Fate {
    match passed {
        None => Fate::Survived("the test did not end, and no assertion said why"),
        Some(_) if said.iter().any(|line| line == "running 0 tests") => Fate::Survived("there is no such test"),
        Some(true) => Fate::Survived("the test passed: nothing catches this"),
        Some(false) if said.iter().any(|line| line.contains(&patch.says)) => Fate::Caught,
        Some(false) => Fate::Otherwise(said),
    }
}

/// Runs cargo on the test's target; whether it succeeded, and what it said.
fn cargo(
    tree: &Tree,
    patch: &Patch,
    arguments: &[&str],
    limit: Option<Duration>,
) -> Result<(Option<bool>, Vec<String>), Stop> {
    let mut cargo = Command::new("cargo");
    child::forget_package(&mut cargo);
    let test = &patch.test;
    cargo.current_dir(tree.root()).args(["test", "--locked", "--quiet", "--color=never", "--package", &test.package]);
    match test.target.as_str() {
        "lib" => cargo.arg("--lib"),
        target => cargo.args(["--test", target]),
    };
    if test.package == "kernel-arena" {
        cargo.arg("--all-features");
    }
    // As the suites build them: what those have built of others' packages serves here, too. Models are long without optimisation.
    if ["kernel-arena-loom", "kernel-arena-shuttle"].contains(&test.package.as_str()) {
        cargo.arg("--release");
    }
    cargo.arg("--target-dir").arg(tree.target()).args(arguments).env_remove("RUST_TEST_NOCAPTURE");
    // Unless somebody knows better: for one mutant the first build is all there is.
    if env::var_os(INCREMENTAL).is_none() {
        cargo.env(INCREMENTAL, "1");
    }
    let mut said = Vec::new();
    let mut pulse = Pulse::new(&patch.name, limit);
    let end = child::watch(cargo, Streams::Merged, limit, &mut |event| match event {
        Event::Out(line) | Event::Err(line) => {
            said.push(line.to_owned());
            pulse.heard();
        }
        Event::Beat(elapsed) => pulse.beat(elapsed),
    });
    match end {
        Ok(End::Exited(status)) => Ok((Some(status.success()), said)),
        Ok(End::TimedOut) => Ok((None, said)),
        Err(error) => Err(Stop::not_ready(format!("cargo did not run: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_words_catch_a_mutant() {
        let text = "Breaks: I1: x\nTest: a b c\nSays: flushed too late\n---\n+++ b/x\n@@ @@\n-y\n+z\n";
        let patch = Patch::read("a.patch".as_ref(), text).unwrap();
        let judged = |passed, said: &str| judge(&patch, passed, said.lines().map(String::from).collect());
        assert!(matches!(judged(Some(false), "running 1 test\nit was flushed too late: 7"), Fate::Caught));
        assert!(matches!(judged(Some(false), "running 1 test\nindex out of bounds"), Fate::Otherwise(_)));
        assert!(matches!(judged(Some(true), "running 1 test\nflushed too late"), Fate::Survived(_)));
        assert!(matches!(judged(Some(true), "running 0 tests"), Fate::Survived(_)));
        assert!(matches!(judged(None, "flushed too late"), Fate::Survived(_)));
    }
}
