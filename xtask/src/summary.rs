//! The last lines of the demo: where its logs are, what became of it on each machine, and why the exit status is not 0.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::arch::Arch;
use crate::status::Status;
use crate::term::{self, Colours, Paint};
use crate::workspace::Workspace;

/// The demo on one machine.
#[derive(Debug)]
pub(crate) struct Tour {
    /// Which.
    pub(crate) arch: Arch,
    /// The number of statements that hold, or what it ended with instead.
    pub(crate) result: Result<usize, (Status, String)>,
    /// How long QEMU took, if it came to that.
    pub(crate) elapsed: Option<Duration>,
    /// The kernel's file, and that of its log.
    pub(crate) log: Option<(PathBuf, PathBuf)>,
}

impl Tour {
    /// One that ended before it began.
    pub(crate) fn ended(arch: Arch, status: Status, why: String) -> Self {
        Self { arch, result: Err((status, why)), elapsed: None, log: None }
    }
}

/// The demo on all machines that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) tours: Vec<Tour>,
    /// What went wrong besides.
    complaints: Vec<(Status, String)>,
}

impl Summary {
    /// Adds a machine.
    pub(crate) fn add(&mut self, tour: Tour) {
        self.tours.push(tour);
    }

    /// Adds something that went wrong on none of them.
    pub(crate) fn complain(&mut self, status: Status, why: String) {
        self.complaints.push((status, why));
    }

    /// Prints it, and says how the command ends.
    pub(crate) fn print(&self, workspace: &Workspace) -> Status {
        println!();
        term::title("what became of it");
        let (lines, status) = self.lines(workspace.root(), Colours::of_output());
        lines.iter().for_each(|line| println!("{line}"));
        status
    }

    fn lines(&self, root: &Path, colours: Colours) -> (Vec<String>, Status) {
        let mut lines = Vec::new();
        let logs = self.tours.iter().filter_map(|tour| tour.log.as_ref());
        let logs: Vec<&Path> = logs.map(|(_, log)| log.strip_prefix(root).unwrap_or(log)).collect();
        for (number, log) in logs.iter().enumerate() {
            lines.push(format!("{:<9}{}", if number == 0 { "logs" } else { "" }, log.display()));
        }
        if logs.iter().any(|log| log.extension().is_some_and(|extension| extension == "defmt")) {
            lines.push("         (`cargo xtask demo --log` shows them)".to_owned());
        }
        let mut worst: Option<(Status, String)> = None;
        for tour in &self.tours {
            let name = tour.arch.name();
            let seconds = tour.elapsed.map_or(String::new(), |time| format!(" ({:.1} s in QEMU)", time.as_secs_f64()));
            match &tour.result {
                Ok(statements) => {
                    let passed = colours.paint(Paint::Green, "passed");
                    lines.push(format!("{name:<9}{passed}: {statements} statements, all of them hold{seconds}"));
                }
                Err((status, why)) => {
                    let failed = colours.paint(Paint::Red, "FAILED");
                    lines.extend(hanging(name, &format!("{failed}: {why}{seconds}")));
                    worst.get_or_insert_with(|| (*status, format!("{name}: {why}")));
                }
            }
        }
        for (status, why) in &self.complaints {
            lines.extend(hanging("", why));
            worst.get_or_insert_with(|| (*status, why.clone()));
        }
        match worst {
            None => (lines, Status::Success),
            Some((status, why)) => {
                lines.extend(term::wrapped(&format!("exit status {}: {why}", status.code()), 0, 2));
                (lines, status)
            }
        }
    }
}

/// A text behind a name, all its lines in one column.
fn hanging(name: &str, text: &str) -> Vec<String> {
    let mut lines = term::wrapped(text, 9, 9);
    if let Some(first) = lines.first_mut() {
        first.replace_range(..name.len(), name);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tour(arch: Arch, result: Result<usize, (Status, String)>) -> Tour {
        let kernel = PathBuf::from("/w/target/kernels").join(arch.target()).join("release/demo");
        let log = Some((kernel.clone(), kernel.with_extension("defmt")));
        Tour { arch, result, elapsed: Some(Duration::from_millis(1250)), log }
    }

    fn lines(tours: Vec<Tour>) -> (Vec<String>, Status) {
        let summary = Summary { tours, complaints: Vec::new() };
        let (lines, status) = summary.lines(Path::new("/w"), Colours::Off);
        lines.iter().for_each(|line| assert!(term::columns(line) <= term::COLUMNS, "{line}"));
        (lines, status)
    }

    #[test]
    fn both_machines_have_the_last_lines() {
        let (lines, status) = lines(vec![tour(Arch::X86_64, Ok(86)), tour(Arch::Aarch64, Ok(85))]);
        assert_eq!(status, Status::Success);
        assert_eq!(
            lines,
            [
                "logs     target/kernels/x86_64-unknown-none/release/demo.defmt",
                "         target/kernels/aarch64-unknown-none-softfloat/release/demo.defmt",
                "         (`cargo xtask demo --log` shows them)",
                "x86_64   passed: 86 statements, all of them hold (1.2 s in QEMU)",
                "aarch64  passed: 85 statements, all of them hold (1.2 s in QEMU)",
            ]
        );
    }

    #[test]
    fn the_last_line_says_why_the_status_is_not_0() {
        let why = "QEMU ended by itself (exit status: 1), not by the kernel's verdict: cannot set up guest memory";
        let bad = Tour { log: None, ..tour(Arch::X86_64, Err((Status::Qemu, why.to_owned()))) };
        let hung = tour(Arch::Aarch64, Err((Status::Hung, "hung".to_owned())));
        let (lines, status) = lines(vec![bad, hung]);
        assert_eq!(status, Status::Qemu, "the first that is not 0");
        assert_eq!(lines[2], "x86_64   FAILED: QEMU ended by itself (exit status: 1), not by the kernel's");
        assert!(lines[lines.len() - 2].starts_with("exit status 4: x86_64: QEMU ended by itself"), "{lines:?}");
    }

    #[test]
    fn a_decoded_log_needs_no_advice() {
        let mut shown = tour(Arch::X86_64, Ok(1));
        shown.log = Some((PathBuf::from("/w/demo"), PathBuf::from("/w/demo.log")));
        assert!(!lines(vec![shown]).0.iter().any(|line| line.contains("--log")));
    }
}
