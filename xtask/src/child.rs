//! Child processes: run under a time limit, heard line by line, and never left behind.
//!
//! A child that runs when xtask ends is a QEMU that eats a CPU for ever. So each is owned by a guard that kills it on
//! every way out (an early return, a panic, a time limit), by its own handle and nothing broader; and those that could
//! outlive a *killed* xtask ask the Linux kernel to be killed along. Ctrl-C needs no handling: the terminal sends it to
//! the whole foreground group.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How often a watched child's liveness and time limit are looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long output may still come after the child itself has ended (from children of its own that hold the pipe).
const GRACE: Duration = Duration::from_secs(1);
/// How often a [`Event::Beat`] comes.
const BEAT: Duration = Duration::from_secs(5);

/// What a watched child does.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// It wrote this line to its standard output (or to either stream, if they are merged).
    Out(&'a str),
    /// It wrote this line to its standard error.
    Err(&'a str),
    /// Nothing in particular, but five seconds more have passed; the time since it was started.
    Beat(Duration),
}

/// Whether the child's two output streams are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Both come as [`Event::Out`], in the order in which they were written.
    Merged,
    /// Each comes as its own event; their order is lost.
    Apart,
}

/// How a watched child ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// It was killed at its time limit.
    TimedOut,
}

/// Kills and reaps the child unless that has happened.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both do nothing to a child that has already been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the command to its end, or to the time limit, and calls `each` for everything it does.
///
/// # Errors
///
/// The command could not be started, or not waited for.
pub(crate) fn watch(
    mut command: Command,
    streams: Streams,
    limit: Option<Duration>,
    each: &mut dyn FnMut(Event<'_>),
) -> io::Result<End> {
    let (sender, lines) = mpsc::channel();
    command.stdin(Stdio::null());
    let mut merged = None;
    match streams {
        Streams::Merged => {
            let (reader, writer) = io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            merged = Some(reader);
        }
        Streams::Apart => {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
    }
    let started = Instant::now();
    let mut guard = Guard(command.spawn()?);
    // The command holds the pipe's write ends, without which the reader would never see the end.
    drop(command);
    if let Some(reader) = merged {
        forward(reader, Line::Out, sender.clone());
    }
    if let Some(stdout) = guard.0.stdout.take() {
        forward(stdout, Line::Out, sender.clone());
    }
    if let Some(stderr) = guard.0.stderr.take() {
        forward(stderr, Line::Err, sender.clone());
    }
    drop(sender);

    let mut next_beat = BEAT;
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        let received = lines.recv_timeout(POLL);
        match &received {
            Ok(Line::Out(line)) => each(Event::Out(line)),
            Ok(Line::Err(line)) => each(Event::Err(line)),
            Err(RecvTimeoutError::Timeout) => {}
            // Nothing more will be said: only the end is missing.
            Err(RecvTimeoutError::Disconnected) => match ended {
                Some((status, _)) => return Ok(End::Exited(status)),
                None => thread::sleep(Duration::from_millis(1)),
            },
        }
        let elapsed = started.elapsed();
        if ended.is_none() && received.is_err() {
            ended = guard.0.try_wait()?.map(|status| (status, Instant::now()));
        }
        match ended {
            Some((status, at)) if at.elapsed() > GRACE => return Ok(End::Exited(status)),
            None if limit.is_some_and(|limit| elapsed > limit) => return Ok(End::TimedOut),
            _ => {}
        }
        if elapsed >= next_beat {
            each(Event::Beat(elapsed));
            next_beat = elapsed + BEAT;
        }
    }
}

/// A line and where it came from.
enum Line {
    Out(String),
    Err(String),
}

/// Sends every line of `source`, on a thread of its own, until it ends.
fn forward(source: impl Read + Send + 'static, wrap: fn(String) -> Line, to: Sender<Line>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(source);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes);
            if to.send(wrap(line.trim_end_matches(['\n', '\r']).to_owned())).is_err() {
                return;
            }
            bytes.clear();
        }
    });
}

/// Has the child killed when xtask dies, however that happens. Linux only; elsewhere the guard must do.
///
/// Call [`watch`] from the thread that lives as long as the process: the signal follows the thread that spawned.
pub(crate) fn die_with_xtask(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use std::ffi::{c_int, c_ulong};
        use std::os::unix::process::{CommandExt, parent_id};

        const PR_SET_PDEATHSIG: c_int = 1;
        const SIGKILL: c_ulong = 9;
        unsafe extern "C" {
            fn prctl(option: c_int, ...) -> c_int;
        }
        let xtask = std::process::id();
        let ask = move || {
            // SAFETY: this option takes one integer argument, touches no memory of ours, and is a plain system call.
            let result = unsafe { prctl(PR_SET_PDEATHSIG, SIGKILL) };
            // If xtask died before the call, nobody will send the signal any more.
            if result == 0 && parent_id() == xtask { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec the closure makes two system calls and touches neither heap nor locks.
        unsafe { command.pre_exec(ask) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Removes what `cargo run` tells xtask about xtask's own package, which would be lies to any other build.
pub(crate) fn forget_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if describes_package(&name) {
            command.env_remove(name);
        }
    }
}

fn describes_package(name: &OsString) -> bool {
    const EXACT: [&str; 6] = [
        "CARGO",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "RUST_RECURSION_COUNT",
    ];
    name.to_str()
        .is_some_and(|name| EXACT.contains(&name) || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_BIN_"))
}

/// The program of this name on the search path.
pub(crate) fn find_program(name: &str) -> Option<std::path::PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn merged_streams_keep_their_order() {
        let mut seen = Vec::new();
        let end = watch(shell("echo 1; echo 2 >&2; echo 3; printf 4"), Streams::Merged, None, &mut |event| {
            if let Event::Out(line) = event {
                seen.push(line.to_owned());
            }
        });
        assert!(matches!(end, Ok(End::Exited(status)) if status.success()));
        assert_eq!(seen, ["1", "2", "3", "4"]);
    }

    #[test]
    fn separate_streams_are_told_apart() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let end =
            watch(shell("echo a; printf 'b\\r\\n' >&2; exit 33"), Streams::Apart, None, &mut |event| match event {
                Event::Out(line) => out.push(line.to_owned()),
                Event::Err(line) => err.push(line.to_owned()),
                Event::Beat(_) => {}
            });
        assert!(matches!(end, Ok(End::Exited(status)) if status.code() == Some(33)));
        assert_eq!((out, err), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }

    #[test]
    fn a_child_that_overstays_is_killed() {
        for script in ["echo $$; exec sleep 100", "echo $$; exec >&- 2>&-; exec sleep 100"] {
            let mut pid = String::new();
            let mut command = shell(script);
            die_with_xtask(&mut command);
            let started = Instant::now();
            let end = watch(command, Streams::Apart, Some(Duration::from_millis(300)), &mut |event| {
                if let Event::Out(line) = event {
                    line.clone_into(&mut pid);
                }
            });
            assert!(matches!(end, Ok(End::TimedOut)));
            assert!(started.elapsed() < Duration::from_secs(50));
            let alive = shell(&format!("kill -0 {pid} 2>/dev/null")).status().expect("sh runs").success();
            assert!(!alive, "process {pid} was left behind");
        }
    }

    #[test]
    fn a_grandchild_that_holds_the_pipe_is_not_waited_for() {
        let started = Instant::now();
        let end = watch(shell("sleep 10 & echo done"), Streams::Merged, None, &mut |_| {});
        assert!(matches!(end, Ok(End::Exited(status)) if status.success()));
        assert!(started.elapsed() < Duration::from_secs(9));
    }

    #[test]
    fn package_variables_are_recognised() {
        for (name, expected) in [
            ("CARGO_PKG_NAME", true),
            ("CARGO", true),
            ("CARGO_HOME", false),
            ("CARGO_TARGET_DIR", false),
            ("PATH", false),
        ] {
            assert_eq!(describes_package(&OsString::from(name)), expected, "{name}");
        }
    }
}
