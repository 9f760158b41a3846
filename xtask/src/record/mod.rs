//! Figures that do not depend on the machine, and what they were before: `benches/instructions.toml`.
//!
//! Instructions under QEMU's `-icount` and bytes of code are the same on every host, so a test can compare them. They are
//! another compiler's as soon as that is another: a table for each version and target. One that the file does not know is
//! printed, and nobody fails by it; for one that it does, each figure must be there, and may not have risen by more than
//! [`TOLERANCE`]. `cargo xtask bench kernel --record` writes the file anew.
//!
//! The file is TOML of the simplest kind: tables with quoted names, and in each quoted names that are whole numbers.

use std::collections::BTreeMap;
use std::fs;

use crate::arch::Arch;
use crate::workspace::Workspace;

pub(crate) mod weigh;

/// The file, from the workspace's root.
pub(crate) const FILE: &str = "benches/instructions.toml";

/// By how much a figure may rise, in percent of what it was.
const TOLERANCE: u64 = 2;

/// What stands above the first table.
const HEADER: &str = "\
# Exact figures of the kernel `counts`: instructions of an operation, bytes of code (`size::`).
# `cargo xtask test counts` compares; `cargo xtask bench kernel --record` writes this file.
";

/// What was counted by code of one compiler for one target.
pub(crate) type Figures = BTreeMap<String, u64>;

/// All that is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record(BTreeMap<String, Figures>);

/// What a figure is, beside what was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing is recorded of this compiler.
    UnknownCompiler,
    /// Others of this compiler are, this is not.
    Missing,
    /// It is at most so much more, or less.
    Within(u64),
    /// It has risen from this.
    Risen(u64),
}

impl Record {
    /// What the file says. There need not be one.
    ///
    /// # Errors
    ///
    /// One line about what is wrong with it.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self, String> {
        match fs::read_to_string(workspace.root().join(FILE)) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{FILE}: {error}")),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// One line about why it is not written.
    pub(crate) fn write(&self, workspace: &Workspace) -> Result<(), String> {
        fs::write(workspace.root().join(FILE), self.to_text()).map_err(|error| format!("{FILE}: {error}"))
    }

    /// Replaces all that is recorded of a compiler and a machine.
    pub(crate) fn set(&mut self, compiler: &str, arch: Arch, figures: Figures) {
        self.0.insert(key(compiler, arch), figures);
    }

    /// What is recorded of a compiler and a machine.
    pub(crate) fn of(&self, compiler: &str, arch: Arch) -> Option<&Figures> {
        self.0.get(&key(compiler, arch))
    }

    /// What a figure is, beside what was recorded.
    pub(crate) fn compare(&self, compiler: &str, arch: Arch, name: &str, figure: u64) -> Change {
        match self.of(compiler, arch).map(|figures| figures.get(name)) {
            None => Change::UnknownCompiler,
            Some(None) => Change::Missing,
            Some(Some(&recorded)) if figure * 100 > recorded * (100 + TOLERANCE) => Change::Risen(recorded),
            Some(Some(&recorded)) => Change::Within(recorded),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut record = Self::default();
        let mut table = None;
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            let wrong = || format!("{FILE}, line {number}: `{line}` is neither a table nor a figure");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]")) {
                table = Some(record.0.entry(name.to_owned()).or_default());
                continue;
            }
            let figure = line.strip_prefix('"').and_then(|rest| rest.split_once("\" = "));
            let (name, value) = figure.ok_or_else(wrong)?;
            let value = value.parse().map_err(|_| wrong())?;
            table.as_mut().ok_or_else(wrong)?.insert(name.to_owned(), value);
        }
        Ok(record)
    }

    fn to_text(&self) -> String {
        let mut text = HEADER.to_owned();
        for (name, figures) in &self.0 {
            text += &format!("\n[\"{name}\"]\n");
            text.extend(figures.iter().map(|(name, figure)| format!("\"{name}\" = {figure}\n")));
        }
        text
    }
}

impl Change {
    /// Why the test fails, if it does.
    pub(crate) fn failure(self, figure: u64) -> Option<String> {
        match self {
            Self::UnknownCompiler | Self::Within(_) => None,
            Self::Missing => {
                Some(format!("{figure}, and {FILE} does not have it: `cargo xtask bench kernel --record`"))
            }
            Self::Risen(recorded) => Some(format!(
                "{figure}, which is {} more than the {recorded} in {FILE}; if that is what it costs, `cargo xtask bench \
                 kernel --record` says so there",
                percent(recorded, figure)
            )),
        }
    }
}

/// The table's name: the version without what a distribution adds to it, and the target.
fn key(compiler: &str, arch: Arch) -> String {
    let version: Vec<&str> = compiler.split_whitespace().take(2).collect();
    format!("{} {}", version.join(" "), arch.target())
}

/// By how much a figure has changed.
pub(crate) fn percent(before: u64, now: u64) -> String {
    let tenths = now.abs_diff(before) * 1000 / before.max(1);
    let sign = if now < before && tenths > 0 { "-" } else { "" };
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPILER: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)";

    fn record() -> Record {
        let mut record = Record::default();
        let figures = [("pages::free_1".to_owned(), 1000), ("access::load".to_owned(), 4)];
        record.set(COMPILER, Arch::X86_64, figures.into());
        record
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = record().to_text();
        assert!(text.contains("[\"rustc 1.96.0 x86_64-unknown-none\"]\n\"access::load\" = 4\n"), "{text}");
        assert_eq!(Record::parse(&text), Ok(record()));
        assert_eq!(Record::parse(""), Ok(Record::default()));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for text in ["\"a\" = 1", "[\"t\"]\na = 1", "[\"t\"]\n\"a\" = many", "[\"t\"]\n\"a\" = -1", "nonsense"] {
            assert!(Record::parse(text).is_err_and(|why| why.contains(", line ")), "{text}");
        }
    }

    #[test]
    fn a_rise_above_two_percent_fails_and_says_by_how_much() {
        let change = |figure| record().compare(COMPILER, Arch::X86_64, "pages::free_1", figure);
        for figure in [0, 500, 1000, 1020] {
            assert_eq!(change(figure).failure(figure), None, "{figure}");
        }
        let why = change(1021).failure(1021);
        assert!(why.is_some_and(|why| why.contains("2.1 % more than the 1000")), "1021");
        // Of few instructions one more is much.
        assert_eq!(record().compare(COMPILER, Arch::X86_64, "access::load", 5), Change::Risen(4));
    }

    #[test]
    fn another_compiler_passes_and_another_figure_does_not() {
        let compare = |compiler, arch, name| record().compare(compiler, arch, name, 9).failure(9);
        assert_eq!(compare("rustc 1.97.0 (x)", Arch::X86_64, "pages::free_1"), None);
        assert_eq!(compare(COMPILER, Arch::Aarch64, "pages::free_1"), None);
        assert!(compare(COMPILER, Arch::X86_64, "pages::alloc_1").is_some_and(|why| why.contains("--record")));
    }

    #[test]
    fn changes_are_told_in_percent() {
        assert_eq!(percent(1000, 1021), "2.1 %");
        assert_eq!(percent(1000, 500), "-50.0 %");
        assert_eq!(percent(3, 3), "0.0 %");
        assert_eq!(percent(10_000, 9_999), "0.0 %");
    }
}
