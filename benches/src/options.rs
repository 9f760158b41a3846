//! The command line, which `cargo xtask bench` makes.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::Effort;

/// What is printed when it makes no sense.
pub(crate) const HELP: &str = "\
usage: kernel-arena-benches [GROUP]... [--quick] [--case NAME]...
                            [--kernel FILE] [--json FILE] [--html FILE]
  GROUP          slots, pages, heap, programs
  --quick        shorter rounds, fewer of them
  --case NAME    only cases whose name contains this
  --kernel FILE  figures that `cargo xtask bench` has counted in QEMU
  --json FILE    writes all rows there
  --html FILE    draws a page there
  --apart NAME CASE
                 nothing but what one allocator does in one case of many objects";

/// A request, parsed.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) groups: Vec<String>,
    pub(crate) effort: Effort,
    pub(crate) kernel: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
    pub(crate) apart: Option<(String, String)>,
    cases: Vec<String>,
}

/// The groups that are timed, in the order in which they are measured.
pub(crate) const GROUPS: [&str; 4] = ["slots", "pages", "heap", "programs"];

impl Options {
    /// Parses the arguments.
    ///
    /// # Errors
    /// One is not understood.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            groups: Vec::new(),
            // Many short turns: those in which somebody else had the processor are then too few to be the median.
            effort: Effort { rounds: 31, turn: Duration::from_millis(8) },
            kernel: None,
            json: None,
            html: None,
            apart: None,
            cases: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--quick" => options.effort = Effort { rounds: 7, turn: Duration::from_millis(1) },
                "--case" => options.cases.push(value()?),
                "--kernel" => options.kernel = Some(value()?.into()),
                "--json" => options.json = Some(value()?.into()),
                "--html" => options.html = Some(value()?.into()),
                "--apart" => options.apart = Some((value()?, value()?)),
                group if GROUPS.contains(&group) => options.groups.push(argument),
                other => return Err(format!("`{other}` is not understood")),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, group: &str) -> bool {
        self.groups.iter().any(|wanted| wanted == group)
    }

    pub(crate) fn wants_case(&self, name: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| name.contains(wanted.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_options_are_understood() {
        let parsed = |line: &str| Options::parse(line.split_whitespace().map(str::to_owned));
        let options = parsed("pages slots --quick --case two --json x").expect("it makes sense");
        assert!(options.wants("slots") && options.wants("pages") && !options.wants("heap"));
        assert!(options.wants_case("one page, two threads") && !options.wants_case("one page"));
        assert_eq!((options.effort.rounds, options.json), (7, Some("x".into())));
        for nonsense in ["everything", "--json", "--fast"] {
            assert!(parsed(nonsense).is_err(), "{nonsense}");
        }
    }
}
