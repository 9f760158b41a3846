//! Unpacks package files: `dpkg-deb` reads them, `tar` writes what is wanted, on as many CPUs as there are.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::setup::step::say;

/// What is left in the packages: documentation, and what of the compiler's source is not the library's (three quarters).
const LEFT: [&str; 4] =
    ["./usr/share/doc", "./usr/src/rustc-*/compiler", "./usr/src/rustc-*/src", "./usr/src/rustc-*/debian"];
/// How often it is said that the work goes on.
const BEAT: Duration = Duration::from_secs(5);

/// Unpacks all these files into a folder.
///
/// # Errors
///
/// Why one of them could not be, for the user.
pub(super) fn all(files: &[PathBuf], into: &Path) -> Result<(), String> {
    let started = Instant::now();
    say(&format!("unpacking {} packages …", files.len()));
    let queue = Mutex::new(files.iter());
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                let next = || queue.lock().ok()?.next();
                while let Some(file) = next() {
                    let failed = one(file, into).err();
                    let message = failed.map(|why| format!("{} cannot be unpacked: {why}", file.display()));
                    if sender.send(message).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Goes with this closure: the workers then stop when they have finished what they are at.
        let results = results;
        let (mut done, mut next_beat) = (0, BEAT);
        loop {
            match results.recv_timeout(next_beat.saturating_sub(started.elapsed())) {
                Ok(None) => done += 1,
                Ok(Some(failure)) => return Err(failure),
                Err(RecvTimeoutError::Timeout) => {
                    say(&format!("  {} s  {done} of {}", started.elapsed().as_secs(), files.len()));
                    next_beat = started.elapsed() + BEAT;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        say(&format!("unpacking: done ({:.1} s)", started.elapsed().as_secs_f64()));
        Ok(())
    })
}

/// Unpacks one package. Owners and special rights stay behind: no program here has more rights than its user.
fn one(file: &Path, into: &Path) -> Result<(), String> {
    let run = || -> io::Result<Result<(), String>> {
        let mut reader = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let archive = reader.stdout.take().map_or_else(Stdio::null, Stdio::from);
        let mut tar = Command::new("tar");
        tar.args(["-x", "--no-same-owner", "--no-same-permissions", "--no-wildcards-match-slash"]);
        tar.args(LEFT.map(|pattern| format!("--exclude={pattern}")));
        let written = tar.arg("-C").arg(into).stdin(archive).output();
        // It holds the pipe, too: if tar has given up, dpkg-deb must not wait for a reader.
        drop(tar);
        let read = reader.wait_with_output()?;
        let failed: Vec<_> = [written?, read].into_iter().filter(|output| !output.status.success()).collect();
        let said = |output: &Output| format!("{} ({})", String::from_utf8_lossy(&output.stderr).trim(), output.status);
        Ok(if failed.is_empty() { Ok(()) } else { Err(failed.iter().map(said).collect::<Vec<_>>().join("; ")) })
    };
    run().map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_no_package_ends_the_unpacking() {
        let folder = std::env::temp_dir().join(format!("xtask-extract-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let files: Vec<PathBuf> = (0..9).map(|number| folder.join(format!("{number}.deb"))).collect();
        for file in &files {
            fs::write(file, "no package").expect("a file");
        }
        let failure = all(&files, &folder).expect_err("there is nothing to unpack");
        assert!(failure.contains(".deb cannot be unpacked: "), "{failure}");
        fs::remove_dir_all(&folder).expect("it is there");
    }
}
