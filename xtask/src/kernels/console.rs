//! Reads the console of a test kernel.
//!
//! A test kernel speaks like this, each line at the margin; anything else it says is for people:
//!
//! ```text
//! test NAME              one for each test, if its argument was `list`
//! ok NAME                a test passed
//! FAILED NAME: why       a test failed
//! counted NAME N         a figure of a test, to be compared with what it was before
//! exceptions N           the page faults (x86_64) or data aborts (aarch64) it counted
//! N passed, N failed     the last line
//! ```

use std::num::ParseIntError;

use crate::verdict::Verdict;

/// What a kernel said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Console {
    /// The names it listed.
    pub(super) listed: Vec<String>,
    /// Its verdicts, with its own names.
    pub(super) verdicts: Vec<Verdict>,
    /// The figures it counted, by the names of their tests.
    pub(super) counted: Vec<(String, u64)>,
    /// The exceptions it counted.
    pub(super) exceptions: Option<u64>,
    /// Passed and failed by its own count, if the last line says so.
    pub(super) summary: Option<(usize, usize)>,
}

impl Console {
    /// Reads all lines.
    pub(super) fn read(lines: &[String]) -> Self {
        let mut console = Self::default();
        for line in lines.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty()) {
            // Only the last line counts: a kernel that goes on after its summary has not ended well.
            console.summary = summary(line);
            if let Some(name) = line.strip_prefix("test ") {
                console.listed.push(name.to_owned());
            } else if let Some(name) = line.strip_prefix("ok ") {
                console.verdicts.push(Verdict::passed(name));
            } else if let Some(rest) = line.strip_prefix("FAILED ") {
                let (name, why) = rest.split_once(": ").unwrap_or((rest, "the kernel did not say why"));
                console.verdicts.push(Verdict::failed(name, why));
            } else if let Some((name, Ok(count))) = line.strip_prefix("counted ").and_then(figure) {
                console.counted.push((name.to_owned(), count));
            } else if let Some(count) = line.strip_prefix("exceptions ") {
                console.exceptions = count.trim().parse().ok();
            }
        }
        console
    }

    /// Passed and failed by the lines.
    fn counts(&self) -> (usize, usize) {
        let failed = self.verdicts.iter().filter(|verdict| verdict.is_failure()).count();
        (self.verdicts.len() - failed, failed)
    }

    /// What is wrong with the report as a whole, if anything.
    pub(super) fn defect(&self) -> Option<String> {
        let (passed, failed) = self.counts();
        match self.summary {
            None => Some("the console does not end with a summary line".to_owned()),
            Some(counts) if counts != (passed, failed) => Some(format!(
                "the kernel's summary says {} passed, {} failed; its lines say {passed} and {failed}",
                counts.0, counts.1
            )),
            Some((0, 0)) => Some("the kernel ran no test".to_owned()),
            Some(_) => self.repeated().map(|name| format!("the kernel reported `{name}` twice")),
        }
    }

    fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.verdicts.iter().map(|verdict| verdict.name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

/// `NAME N`.
fn figure(text: &str) -> Option<(&str, Result<u64, ParseIntError>)> {
    text.rsplit_once(' ').map(|(name, count)| (name, count.parse()))
}

/// `N passed, N failed`.
fn summary(line: &str) -> Option<(usize, usize)> {
    let (passed, failed) = line.split_once(" passed, ")?;
    Some((passed.parse().ok()?, failed.strip_suffix(" failed")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Console {
        Console::read(&text.lines().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn verdicts_exceptions_and_summary_are_read() {
        let console = read(
            "claims on x86_64\n2 CPUs\nok fault::reads_zero\nFAILED view::user: got 3: wanted 4\n  ok not at the margin\n\
             exceptions 12\n1 passed, 1 failed\n\n",
        );
        assert_eq!(
            console.verdicts,
            [Verdict::passed("fault::reads_zero"), Verdict::failed("view::user", "got 3: wanted 4")]
        );
        assert_eq!((console.exceptions, console.summary), (Some(12), Some((1, 1))));
        assert_eq!(console.defect(), None);
    }

    #[test]
    fn a_missing_or_early_summary_is_a_defect() {
        for text in ["", "ok a\n", "ok a\n1 passed, 0 failed\npanicked at the end\n"] {
            assert!(read(text).defect().is_some_and(|why| why.contains("summary line")), "{text}");
        }
    }

    #[test]
    fn counts_that_disagree_with_the_lines_are_a_defect() {
        assert!(read("ok a\n2 passed, 0 failed\n").defect().is_some());
        assert!(read("FAILED a: b\n1 passed, 0 failed\n").defect().is_some());
        assert!(read("0 passed, 0 failed\n").defect().is_some());
        assert!(read("ok a\nok a\n2 passed, 0 failed\n").defect().is_some());
    }

    #[test]
    fn figures_are_read() {
        let console = read("counted pages::free_1 1507\ncounted x\ncounted y many\n");
        assert_eq!(console.counted, [("pages::free_1".to_owned(), 1507)]);
    }

    #[test]
    fn listed_names_are_read() {
        assert_eq!(read("test a::b\ntest c\n").listed, ["a::b", "c"]);
    }
}
