//! What a test of a kernel says when it fails, and the checks that say so.
//!
//! A check that fails ends its test by `?`, not the kernel: the other tests still get their turn.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Debug};
use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;

use crate::arch::relax;

/// Why a test failed, in one line.
#[derive(Debug)]
pub struct Failure(String);

/// The result of a check, or of a whole test.
pub type Checked = Result<(), Failure>;

impl Failure {
    /// For this reason.
    pub fn new(why: impl Into<String>) -> Self {
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
///
/// # Errors
///
/// The failure, which says what was expected.
pub fn equal<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Checked {
    if found == expected { Ok(()) } else { Err(Failure(format!("{what}: {found:?}, expected {expected:?}"))) }
}

/// Checks that something is so.
///
/// # Errors
///
/// The failure, which says what was expected.
pub fn holds(what: &str, is_so: bool) -> Checked {
    if is_so { Ok(()) } else { Err(Failure(format!("not so: {what}"))) }
}

/// The first failure of a test that runs on several CPUs, from whichever.
#[derive(Debug, Default)]
pub struct Trouble {
    is_there: AtomicBool,
    first: Mutex<Option<Failure>>,
}

impl Trouble {
    /// None so far.
    #[must_use]
    pub const fn new() -> Self {
        Self { is_there: AtomicBool::new(false), first: Mutex::new(None) }
    }

    /// Notes a failure.
    pub fn note(&self, failure: Failure) {
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
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Acquire)
    }

    /// Takes it out, when no other CPU notes any more.
    ///
    /// # Errors
    ///
    /// The failure, if there was one.
    pub fn take(&self) -> Checked {
        self.is_there.store(false, Ordering::Relaxed);
        self.first.lock().take().map_or(Ok(()), Err)
    }
}
