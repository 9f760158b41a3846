//! Reads what `cargo test` prints: which test binary runs, what became of each test, why those that failed did.
//!
//! libtest's machine-readable output is unstable, so this reads the text that people read, and distrusts it: the
//! lines of each binary must agree with its summary, a binary that ends without one has crashed, and a cargo that
//! fails without any of that failed to build. Captured output of failed tests is never taken for a verdict.

use crate::verdict::{Outcome, Verdict};

/// What a line of output meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A test ended.
    Verdict(Verdict),
    /// Lines that explain the failures just reported.
    Explanation(Vec<String>),
    /// So many tests of a binary did not run.
    NotRun(String, usize),
    /// None ran at all.
    NoneRan,
    /// Cargo said something: progress, warnings, errors.
    Cargo(String),
}

/// Reads a run's output line by line; both of cargo's streams, merged.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    prefix: String,
    target: String,
    section: Option<Section>,
    any_failed: bool,
    any_ran: bool,
}

/// One "running N tests" block.
#[derive(Debug, Default)]
struct Section {
    expected: usize,
    passed: usize,
    failed: usize,
    ignored: usize,
    /// Lines that are no verdicts: what the binary itself printed.
    noise: Vec<String>,
    /// What libtest captured of the failed tests, once that part has begun.
    captured: Option<Vec<String>>,
    /// The list of failed names, which follows the captured output, has begun.
    in_name_list: bool,
}

impl Reader {
    /// A reader whose names all begin with this prefix.
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..Self::default() }
    }

    /// Takes one more line, and says what it meant.
    pub(crate) fn line(&mut self, line: &str) -> Vec<Found> {
        if let Some(target) = new_target(line) {
            let found = self.close_crashed();
            self.target = target;
            return with(found, Found::Cargo(line.to_owned()));
        }
        let Some(section) = &mut self.section else {
            if let Some(expected) = running(line) {
                self.section = Some(Section { expected, ..Section::default() });
                return Vec::new();
            }
            return vec![Found::Cargo(line.to_owned())];
        };
        if let Some(counts) = summary(line) {
            // In captured text, only the real summary has the right counts.
            if section.captured.is_none() || counts == section.counts() {
                return self.close(counts);
            }
        }
        if line.starts_with("error: test failed, to rerun pass") && section.captured.is_none() {
            return with(self.close_crashed(), Found::Cargo(line.to_owned()));
        }
        if let Some(captured) = &mut section.captured {
            section.in_name_list |= line == "failures:";
            if !section.in_name_list {
                captured.push(line.to_owned());
            }
            return Vec::new();
        }
        if line == "failures:" {
            section.captured = Some(Vec::new());
            return Vec::new();
        }
        let Some((name, result)) = test_line(line) else {
            // Whoever waits wants to know for what.
            let is_slow = line.starts_with("test ") && line.ends_with(" has been running for over 60 seconds");
            let found = is_slow.then(|| Found::Cargo(format!("   {line}")));
            section.noise.push(line.to_owned());
            return found.into_iter().collect();
        };
        match &result {
            Outcome::Passed => section.passed += 1,
            Outcome::Failed(_) => section.failed += 1,
            Outcome::Ignored => section.ignored += 1,
        }
        let verdict = Verdict { name: self.name(name), result };
        self.any_ran = true;
        self.any_failed |= verdict.is_failure();
        vec![Found::Verdict(verdict)]
    }

    /// Says what the end of the output meant, given whether cargo said that all is well.
    pub(crate) fn end(&mut self, success: bool) -> Vec<Found> {
        let found = self.close_crashed();
        let why = match (success, self.any_failed, self.any_ran) {
            (false, false, _) => "cargo test failed: see its messages above",
            (true, false, false) => "no test ran",
            _ => return found,
        };
        let found = with(found, Found::Verdict(Verdict::failed(format!("{}cargo test", self.prefix), why)));
        if self.any_ran { found } else { with(found, Found::NoneRan) }
    }

    fn name(&self, name: &str) -> String {
        format!("{}{}::{name}", self.prefix, self.target)
    }

    /// Ends a section properly: by its summary line.
    fn close(&mut self, counts: (usize, usize, usize)) -> Vec<Found> {
        let section = self.section.take().unwrap_or_default();
        let mut found = Vec::new();
        if let Some(captured) = section.captured.as_ref().filter(|lines| !lines.is_empty()) {
            found.push(Found::Explanation(captured.clone()));
        }
        if counts != section.counts() {
            let (passed, failed, ignored) = counts;
            let why = format!("its summary says {passed} passed, {failed} failed, {ignored} ignored; its lines do not");
            found.push(self.broken(why, section.noise));
        }
        found
    }

    /// Ends a section whose binary ended without a summary, if there is one open.
    fn close_crashed(&mut self) -> Vec<Found> {
        let Some(section) = self.section.take() else {
            return Vec::new();
        };
        let (passed, failed, ignored) = section.counts();
        let seen = passed + failed + ignored;
        let why = format!("the test binary ended after {seen} of {} tests without a summary", section.expected);
        let mut lines = section.noise;
        lines.extend(section.captured.unwrap_or_default());
        let binary = format!("{}{}", self.prefix, self.target);
        with(vec![self.broken(why, lines)], Found::NotRun(binary, section.expected.saturating_sub(seen)))
    }

    /// A failure of a whole test binary.
    fn broken(&mut self, why: String, lines: Vec<String>) -> Found {
        self.any_failed = true;
        let mut explanation = vec![why];
        explanation.extend(lines);
        Found::Verdict(Verdict {
            name: format!("{}{}", self.prefix, self.target),
            result: Outcome::Failed(explanation),
        })
    }
}

impl Section {
    fn counts(&self) -> (usize, usize, usize) {
        (self.passed, self.failed, self.ignored)
    }
}

/// The names that `cargo test -- --list` printed, with the same prefixes as in a run.
pub(crate) fn list(prefix: &str, lines: &[String]) -> Vec<String> {
    let mut target = String::new();
    let mut names = Vec::new();
    for line in lines {
        if let Some(new) = new_target(line) {
            target = new;
        } else if let Some(name) = line.strip_suffix(": test") {
            names.push(format!("{prefix}{target}::{name}"));
        }
    }
    names
}

fn with(mut found: Vec<Found>, more: Found) -> Vec<Found> {
    found.push(more);
    found
}

/// The test binary that cargo says it runs now: `     Running unittests src/lib.rs (target/debug/deps/name-0123456789abcdef)`.
fn new_target(line: &str) -> Option<String> {
    if line.starts_with("   Doc-tests ") {
        return Some("doc".to_owned());
    }
    let (_, path) = line.strip_prefix("     Running ")?.strip_suffix(')')?.rsplit_once(" (")?;
    let file = path.rsplit(['/', '\\']).next()?;
    let name = file.strip_suffix(".exe").unwrap_or(file);
    Some(name.rsplit_once('-').map_or(name, |(name, _hash)| name).to_owned())
}

/// `running 3 tests`.
fn running(line: &str) -> Option<usize> {
    let (count, noun) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(noun, "test" | "tests").then(|| count.parse().ok())?
}

/// `test NAME ... RESULT`, the name without libtest's remarks on it.
fn test_line(line: &str) -> Option<(&str, Outcome)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let outcome = match result {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed(Vec::new()),
        _ if result == "ignored" || result.starts_with("ignored, ") => Outcome::Ignored,
        _ => return None,
    };
    let remarks = [" - should panic", " - compile fail", " - compile"];
    Some((remarks.iter().find_map(|remark| name.strip_suffix(remark)).unwrap_or(name), outcome))
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`, as (passed, failed, ignored).
fn summary(line: &str) -> Option<(usize, usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut fields = counts.split("; ");
    let mut field = |noun: &str| fields.next()?.strip_suffix(noun)?.trim_end().parse().ok();
    Some((field("passed")?, field("failed")?, field("ignored")?))
}

#[cfg(test)]
#[path = "libtest_tests.rs"]
mod tests;
