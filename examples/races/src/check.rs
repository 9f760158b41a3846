//! What a race says when a claim does not hold, and the checks that say so.
//!
//! A check that fails on one CPU ends the race on all of them, at the next place where they meet; the first failure is told.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Debug};
use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;
use support::relax;

/// Why a claim does not hold, in one line.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The result of a check.
pub(crate) type Checked = Result<(), Failure>;

impl Failure {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An operation of the arena that was to succeed did not.
impl<E: core::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(format!("refused: {error}"))
    }
}

/// Checks that two values are the same.
pub(crate) fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Checked {
    if found == expected { Ok(()) } else { Err(Failure(format!("{what}: {found:?}, expected {expected:?}"))) }
}

/// Checks that something is so.
pub(crate) fn holds(what: &str, is_so: bool) -> Checked {
    if is_so { Ok(()) } else { Err(Failure(format!("not so: {what}"))) }
}

/// The first failure of a race, from whichever CPU.
#[derive(Debug)]
pub(crate) struct Trouble {
    is_there: AtomicBool,
    first: Mutex<Option<Failure>>,
}

impl Trouble {
    pub(crate) const fn new() -> Self {
        Self { is_there: AtomicBool::new(false), first: Mutex::new(None) }
    }

    /// Notes a failure.
    pub(crate) fn note(&self, failure: Failure) {
        let mut first = loop {
            if let Some(first) = self.first.try_lock() {
                break first;
            }
            relax();
        };
        first.get_or_insert(failure);
        self.is_there.store(true, Ordering::Release);
    }

    /// Whether there was one.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Acquire)
    }

    /// Takes it out, when no other CPU notes any more.
    pub(crate) fn take(&self) -> Checked {
        self.is_there.store(false, Ordering::Relaxed);
        self.first.lock().take().map_or(Ok(()), Err)
    }
}
