//! One run at a time in a target directory: whoever comes second waits, and is told for whom.
//!
//! Two runs would write the same logs and copies, and each would slow down what the other holds to a time limit. The lock
//! is the operating system's, on a file that says who has it; it ends with the process, in whatever way that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::pulse::SILENCE;
use crate::term;

/// How often a lock is tried that somebody else has.
const POLL: Duration = Duration::from_millis(100);
/// How long after it was taken a lock's file may not yet say who has it.
const HESITATION: Duration = Duration::from_secs(1);

/// The right to work, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _file: File,
}

impl Turn {
    /// Waits for the turn of this command in a directory, which is made if it is not there. Where files cannot be locked,
    /// that is said, and the work goes on.
    pub(crate) fn take(directory: &Path, command: &str) -> Option<Self> {
        let file = Self::wait(&directory.join("xtask.lock"), command, &mut |holder| {
            term::note(&format!("waiting for {holder}, which is at work in this checkout"));
        });
        match file {
            Ok(file) => Some(Self { _file: file }),
            Err(error) => {
                term::note(&format!("no other run must be at work in {}, for: {error}", directory.display()));
                None
            }
        }
    }

    /// Takes the lock; calls `tell`, at once and then every ten seconds, for who has it.
    fn wait(path: &Path, command: &str, tell: &mut dyn FnMut(&str)) -> io::Result<File> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let started = Instant::now();
        let mut told: Option<Instant> = None;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => {}
            }
            if told.is_none_or(|at| at.elapsed() >= SILENCE) {
                let holder = holder(&mut file);
                if holder.is_some() || started.elapsed() >= HESITATION {
                    tell(holder.as_deref().unwrap_or("another run"));
                    told = Some(Instant::now());
                }
            }
            thread::sleep(POLL);
        }
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(format!("{} {command}\n", std::process::id()).as_bytes())?;
        Ok(file)
    }
}

/// Who has the lock, by what they have written into the file.
fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    // The command's line is whole when it ends.
    let (process, command) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(format!("`{command}` (process {process})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    #[test]
    fn the_second_waits_for_the_first_and_knows_who_that_is() {
        let path = std::env::temp_dir().join(format!("xtask-turn-{}", std::process::id()));
        let first = Turn::wait(&path, "cargo xtask test", &mut |holder| panic!("{holder} has it")).expect("it is free");
        let (told, done) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut seen = String::new();
                let file = Turn::wait(&path, "cargo xtask demo", &mut |holder| {
                    holder.clone_into(&mut seen);
                    told.store(true, Relaxed);
                });
                (file.is_ok(), done.load(Relaxed), seen)
            });
            while !told.load(Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            done.store(true, Relaxed);
            drop(first);
            let expected = format!("`cargo xtask test` (process {})", std::process::id());
            assert_eq!(second.join().expect("no panic"), (true, true, expected));
        });
        std::fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn who_has_just_come_is_given_time_to_say_so() {
        let path = std::env::temp_dir().join(format!("xtask-silent-turn-{}", std::process::id()));
        let mut silent = File::create(&path).expect("it can be made");
        silent.lock().expect("nobody else has it");
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                let mut seen = Vec::new();
                Turn::wait(&path, "b", &mut |holder| seen.push(holder.to_owned())).map(|_| seen)
            });
            thread::sleep(POLL * 2);
            silent.write_all(b"7 a\n").expect("it is open");
            thread::sleep(POLL * 4);
            silent.unlock().expect("it was locked");
            assert_eq!(second.join().expect("no panic").expect("it has the lock"), ["`a` (process 7)"]);
        });
        std::fs::remove_file(&path).expect("it is there");
    }
}
