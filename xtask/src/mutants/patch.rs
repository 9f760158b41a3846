//! A mutant's file: a header of three lines, and a patch.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::edit::Edit;
use crate::status::Stop;

/// A deliberate breakage.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    /// The file's name, without its ending.
    pub(super) name: String,
    /// The rule that it breaks, or the part whose rules have no numbers.
    pub(super) rule: String,
    /// The test that catches it.
    pub(super) test: Test,
    /// What that says, or a part of it.
    pub(super) says: String,
    /// What it changes.
    pub(super) edits: Vec<Edit>,
}

/// A test, by package, target and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) package: String,
    /// `lib`, or one of the package's tests.
    pub(super) target: String,
    pub(super) name: String,
}

impl Patch {
    /// All in a folder, by name.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>, Stop> {
        let unreadable = |error| Stop::not_ready(format!("{}: {error}", folder.display()));
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "patch"));
        paths.sort();
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path).map_err(unreadable)?;
            Self::read(path, &text).map_err(|why| Stop::failed(format!("{}: {why}", path.display())))
        };
        paths.iter().map(read).collect()
    }

    /// What a file says.
    pub(super) fn read(path: &Path, text: &str) -> Result<Self, String> {
        let (header, patch) = text.split_once("\n---\n").ok_or("the header does not end with `---`")?;
        let line = |key: &str| {
            let value = header.lines().find_map(|line| line.strip_prefix(key));
            value.map(str::trim).filter(|value| !value.is_empty()).ok_or(format!("no line `{key} …`"))
        };
        let (rule, _) = line("Breaks:")?.split_once(": ").ok_or("no rule and colon after `Breaks:`")?;
        let words: Vec<&str> = line("Test:")?.split_whitespace().collect();
        let &[package, target, name] = words.as_slice() else {
            return Err("`Test:` takes a package, a target and a name".to_owned());
        };
        let test = Test { package: package.to_owned(), target: target.to_owned(), name: name.to_owned() };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (rule, says) = (rule.to_owned(), line("Says:")?.to_owned());
        Ok(Self { name, rule, test, says, edits: Edit::all(patch)? })
    }

    /// Whether its name has this in it, or this is its rule.
    pub(super) fn has(&self, filter: &str) -> bool {
        self.name.contains(filter) || self.rule == filter
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.package, self.target, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read() {
        let text = "Breaks: O7: it is freed twice\nTest: kernel-arena host slab::a_test\nSays: left: 1\n---\n--- a/b\n+++ b/b\n@@ @@\n-x\n+y\n";
        let patch = Patch::read("x/o7-twice.patch".as_ref(), text).unwrap();
        assert_eq!((patch.name.as_str(), patch.rule.as_str(), patch.says.as_str()), ("o7-twice", "O7", "left: 1"));
        assert_eq!(patch.test.to_string(), "kernel-arena host slab::a_test");
        assert_eq!(patch.edits[0].file, "b");
        assert!(patch.has("twice") && patch.has("O7") && !patch.has("O"));
    }

    #[test]
    fn a_header_that_lacks_something_is_refused() {
        let whole = "Breaks: O7: x\nTest: a b c\nSays: d\n---\n+++ b/x\n@@ @@\n-y\n+z\n";
        assert!(Patch::read("a.patch".as_ref(), whole).is_ok());
        for (part, without) in [
            ("Breaks: O7: x\n", ""),
            ("O7: x", "x"),
            ("a b c", "a b"),
            ("Says: d\n", "Says: \n"),
            ("---\n", ""),
            ("-y\n+z\n", ""),
        ] {
            let text = whole.replacen(part, without, 1);
            assert!(Patch::read("a.patch".as_ref(), &text).is_err(), "{text}");
        }
    }
}
