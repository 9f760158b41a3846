//! A flag that the machine looks at whenever something must be alive. Loom's reports uses that nothing orders; here all are
//! ordered, and what counts is what it says.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

pub(crate) struct Watched(AtomicBool);

impl Watched {
    pub(crate) fn new(value: bool) -> Self {
        Self(AtomicBool::new(value))
    }

    pub(crate) fn get(&self) -> bool {
        self.0.load(SeqCst)
    }

    pub(crate) fn set(&self, new: bool) {
        self.0.store(new, SeqCst);
    }
}
