//! A flag whose every use loom reports that is not ordered against the others.

use loom::cell::UnsafeCell;

/// What it says matters less than that it may be asked: plain memory, to whose uses somebody else must give an order.
pub(crate) struct Watched(UnsafeCell<bool>);

// SAFETY: loom runs one thread at a time, and fails the model where two uses, one of them a change, are not ordered.
unsafe impl Sync for Watched {}

impl Watched {
    pub(crate) fn new(value: bool) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) fn get(&self) -> bool {
        // SAFETY: the pointer is the cell's, for as long as the closure runs.
        self.0.with(|value| unsafe { *value })
    }

    pub(crate) fn set(&self, new: bool) {
        // SAFETY: the pointer is the cell's, for as long as the closure runs.
        self.0.with_mut(|value| unsafe { *value = new });
    }
}
