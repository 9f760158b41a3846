//! One set-up at a time in a checkout: whoever comes second waits, and finds the work done.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::step::say;

/// Holds the lock until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of this file, which is made if it is not there, and stays.
    ///
    /// # Errors
    ///
    /// The file cannot be made, or the file system has no locks.
    pub(super) fn take(path: &Path) -> Result<Self, String> {
        let attempt = || {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            let file = File::create(path)?;
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => say("another run is setting up; waiting for it"),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            file.lock()?;
            Ok(file)
        };
        let file = attempt().map_err(|error| format!("{} cannot be locked: {error}", path.display()))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn the_second_waits_for_the_first() {
        let path = std::env::temp_dir().join(format!("xtask-lock-{}", std::process::id()));
        let first = Lock::take(&path).expect("nobody else has it");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let second = scope.spawn(|| Lock::take(&path).map(|_lock| done.load(Relaxed)));
            thread::sleep(Duration::from_millis(50));
            done.store(true, Relaxed);
            drop(first);
            assert_eq!(second.join().expect("no panic"), Ok(true));
        });
        fs::remove_file(&path).expect("it is there");
    }
}
