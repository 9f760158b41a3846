//! One step of the set-up: a command that takes long, never silent for more than a few seconds.

use std::process::Command;
use std::time::Instant;

use crate::child::{self, End, Event, Streams};
use crate::term;

/// How many of the last lines of output are shown of a step that failed.
const SHOWN_LINES: usize = 20;

/// A step that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// What failed, and the last lines it said.
    pub(super) message: String,
    /// It met another package manager's lock.
    pub(super) locked: bool,
}

/// Runs one command, with a line at its start, one every few seconds, and one at its end.
pub(super) fn step(name: &str, command: Command) -> Result<(), Failure> {
    say(&format!("{name} …"));
    let started = Instant::now();
    let mut lines: Vec<String> = Vec::new();
    let end = child::watch(command, Streams::Merged, None, &mut |event| match event {
        Event::Out(line) | Event::Err(line) => lines.push(line.to_owned()),
        Event::Beat(elapsed) => {
            let last = lines.last().map_or("", String::as_str);
            say(&format!("  {} s  {}", elapsed.as_secs(), shortened(last)));
        }
    });
    let how = match end {
        Ok(End::Exited(status)) if status.success() => {
            say(&format!("{name}: done ({:.1} s)", started.elapsed().as_secs_f64()));
            return Ok(());
        }
        Ok(End::Exited(status)) => status.to_string(),
        Ok(End::TimedOut) => "stopped".to_owned(),
        Err(error) => format!("did not start: {error}"),
    };
    let locked = lines.iter().any(|line| line.contains("Could not get lock"));
    let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n    ");
    Err(Failure { message: format!("{name}: failed ({how})\n    {shown}"), locked })
}

/// Tells whoever waits, on standard error. What is indented is somebody else's words, and left as it is.
pub(super) fn say(text: &str) {
    said(text).iter().for_each(|line| eprintln!("{line}"));
}

fn said(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let named = format!("setup: {line}");
        match () {
            () if line.starts_with("    ") => lines.push(line.to_owned()),
            () if term::columns(&named) <= term::COLUMNS => lines.push(named),
            () => lines.extend(term::wrapped(&named, 0, 7)),
        }
    }
    lines
}

/// A line cut to what fits a terminal behind the time.
fn shortened(line: &str) -> String {
    line.chars().take(term::COLUMNS - 16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_fits_the_terminal() {
        let long = "missing: ".to_owned() + &"something, ".repeat(20);
        let lines = said(&format!("short\n{long}\n    a command\n  5 s  {}", shortened(&"x".repeat(200))));
        assert!(lines.iter().all(|line| term::columns(line) <= term::COLUMNS), "{lines:?}");
        assert!(lines[0] == "setup: short" && lines[2].starts_with("       something"), "{lines:?}");
        assert!(
            lines.contains(&"    a command".to_owned()) && lines.iter().any(|line| line.starts_with("setup:   5 s  x"))
        );
    }

    #[test]
    fn a_failed_step_shows_its_last_lines() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 100; echo 'E: Could not get lock /var/lib'; exit 7"]);
        let failure = step("counting", command).expect_err("it exits with 7");
        assert!(failure.locked);
        assert!(
            failure.message.contains("\n    100\n") && !failure.message.contains("\n    80\n"),
            "{}",
            failure.message
        );
    }
}
