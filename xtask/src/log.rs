//! The kernels' logs: where their streams of defmt go, and how they become text.
//!
//! What decodes them is the package `defmt-view`, which is built when there is something to decode: xtask itself has no
//! dependencies.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::child::{self, End, Event, Streams};
use crate::qemu::quoted;
use crate::workspace::Workspace;

/// The level from which on messages are compiled into the kernels (the environment variable `DEFMT_LOG`).
pub(crate) const LEVEL: &str = "info";

/// The test that decodes what a kernel logged.
pub(crate) const DECODING: &str = "defmt stream decodes";

const VIEWER: &str = "defmt-view";

/// A viewer that has been built.
#[derive(Debug)]
pub(crate) struct Viewer<'a> {
    workspace: &'a Workspace,
}

impl<'a> Viewer<'a> {
    /// Builds it, with cargo's progress on stderr. That takes half a minute the first time.
    ///
    /// # Errors
    ///
    /// One line about why there is none.
    pub(crate) fn build(workspace: &'a Workspace) -> Result<Self, String> {
        let mut cargo = cargo(workspace, "build");
        match cargo.stdin(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(Self { workspace }),
            Ok(_) => Err(format!("`{VIEWER}` does not build")),
            Err(error) => Err(format!("cargo did not run: {error}")),
        }
    }

    /// Builds it without a word, by one job, while something else runs. What goes wrong is said when it is built in earnest.
    pub(crate) fn build_ahead(workspace: &Workspace) {
        let mut cargo = cargo(workspace, "build");
        cargo.args(["--quiet", "--jobs", "1"]);
        child::die_with_xtask(&mut cargo);
        let _built_again = cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    /// Calls `each` for every message that a kernel's last run has sent, a line each.
    ///
    /// # Errors
    ///
    /// One line about what is wrong with the stream: it is not there, or not what this kernel sends.
    pub(crate) fn decode(&self, kernel: &Path, each: &mut dyn FnMut(&str)) -> Result<(), String> {
        let mut cargo = cargo(self.workspace, "run");
        cargo.args(["--quiet", "--"]).args([kernel, &stream(kernel)]);
        let mut complaint = None;
        let end = child::watch(cargo, Streams::Apart, None, &mut |event| match event {
            Event::Out(line) => each(line),
            Event::Err(line) => complaint = Some(line.to_owned()),
            Event::Beat(_) => {}
        });
        match end {
            Ok(End::Exited(status)) if status.success() => Ok(()),
            Ok(_) => Err(complaint.unwrap_or_else(|| format!("`{VIEWER}` failed without a word"))),
            Err(error) => Err(format!("cargo did not run: {error}")),
        }
    }

    /// How to see a kernel's messages while it runs, as one would type it in the checkout.
    pub(crate) fn live_command(&self, kernel: &Path) -> String {
        let root = self.workspace.root();
        let shown = |path: &Path| quoted(&path.strip_prefix(root).unwrap_or(path).to_string_lossy());
        format!("cargo run --package {VIEWER} -- --follow {} {}", shown(kernel), shown(&stream(kernel)))
    }
}

/// Where a kernel's log goes: a file beside the kernel's.
pub(crate) fn stream(kernel: &Path) -> PathBuf {
    kernel.with_extension("defmt")
}

/// The first message that must come, after those before it, and does not.
pub(crate) fn missing<'a>(lines: &[String], messages: &[&'a str]) -> Option<&'a str> {
    let mut lines = lines.iter();
    messages.iter().copied().find(|message| !lines.any(|line| fits(line, message)))
}

/// Whether a line is this message, in which `*` stands for any text.
fn fits(line: &str, message: &str) -> bool {
    let mut parts = message.split('*');
    let rest = parts.next().and_then(|start| line.strip_prefix(start));
    let Some(mut rest) = rest else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.is_empty()
}

fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut cargo = Command::new("cargo");
    child::forget_package(&mut cargo);
    cargo.current_dir(workspace.root()).args([subcommand, "--locked", "--package", VIEWER, "--target-dir"]);
    cargo.arg(workspace.target(""));
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_must_come_in_their_order() {
        let lines = ["INFO  a 1 (x.rs:1)", "WARN  b", "INFO  a 2 (x.rs:1)"].map(String::from);
        assert_eq!(missing(&lines, &["INFO  a * (x.rs:*)", "WARN  b", "INFO  a *"]), None);
        assert_eq!(missing(&lines, &["WARN  b", "WARN  b"]), Some("WARN  b"));
        assert_eq!(missing(&lines, &["INFO  a"]), Some("INFO  a"));
        assert_eq!(missing(&[], &[]), None);
    }

    #[test]
    fn a_star_is_any_text() {
        for message in ["ab", "a*", "*b", "a*b", "*", "a**b"] {
            assert!(fits("ab", message), "{message}");
        }
        for message in ["a", "b", "", "b*", "*a", "a*c*b", "ab*b"] {
            assert!(!fits("ab", message), "{message}");
        }
    }
}
