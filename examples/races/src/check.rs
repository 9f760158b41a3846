//! What a race says when a claim does not hold, and the checks that say so.
//!
//! A check that fails on one CPU ends the race on all of them, at the next place where they meet; the first failure is told.

use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;
use support::relax;

pub(crate) use support::check::{Checked, Failure, equal, holds};

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
