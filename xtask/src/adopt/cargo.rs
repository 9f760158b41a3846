//! Runs a program quietly, and keeps what it said for when it fails.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::child::{self, End, Event, Streams};
use crate::pulse::Pulse;
use crate::workspace::Workspace;

/// Why something failed, line by line.
pub(super) type Said = Vec<String>;

/// Cargo of the current toolchain, in a directory.
///
/// Flags for the compiler that the user has set are for his builds: left out.
pub(super) fn cargo(directory: &Path) -> Command {
    let mut command = Command::new("cargo");
    child::forget_package(&mut command);
    command.current_dir(directory).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// A check of the library in a directory, on the host. The target is named: flags for the compiler are then for it alone, and
/// what runs while it is compiled, macros mostly, is built once for all of them.
pub(super) fn host_check(directory: &Path, workspace: &Workspace) -> Result<Command, Said> {
    let printed = Command::new("rustc").current_dir(directory).args(["--print", "host-tuple"]).output();
    let printed = printed.map_err(|error| vec![format!("rustc did not run: {error}")])?;
    let host = String::from_utf8_lossy(&printed.stdout);
    let mut check = cargo(directory);
    check.args(["check", "--locked", "--lib", "--target", host.trim()]);
    check.arg("--target-dir").arg(workspace.target("adopt").join("host"));
    check.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    Ok(check)
}

/// Runs it to its end.
pub(super) fn finish(mut command: Command) -> Result<(), Said> {
    let words: Vec<_> =
        [command.get_program()].into_iter().chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    let words = words.join(" ");
    command.env("CARGO_TERM_COLOR", "never");
    let mut said = Vec::new();
    let mut pulse = Pulse::new("adoption", None);
    let end = child::watch(command, Streams::Merged, None, &mut |event| match event {
        Event::Out(line) | Event::Err(line) => {
            said.push(line.to_owned());
            pulse.heard();
        }
        Event::Beat(elapsed) => pulse.beat(elapsed),
    });
    let how = match end {
        Ok(End::Exited(status)) if status.success() => return Ok(()),
        Ok(End::Exited(status)) => status.to_string(),
        Ok(End::TimedOut) => "it took too long".to_owned(),
        Err(error) => format!("it did not run: {error}"),
    };
    said.insert(0, format!("{words}: {how}"));
    Err(said)
}

/// Writes a file, unless it is as wanted already: a file that is newer is compiled again.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Said> {
    if fs::read_to_string(file).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let directory = file.parent().map_or(Ok(()), fs::create_dir_all);
    directory.and_then(|()| fs::write(file, text)).map_err(|error| why(file, &error))
}

/// What to say of an error with a file.
pub(super) fn why(file: &Path, error: &dyn std::fmt::Display) -> Said {
    vec![format!("{}: {error}", file.display())]
}

/// Whether cargo is not to go online: then nothing can be newer than what is there.
pub(super) fn is_offline() -> bool {
    env::var_os("CARGO_NET_OFFLINE").is_some_and(|value| value == "true")
}
