//! Two threads that begin at the same moment.

use std::cell::Cell;
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Lets two threads go at the same moment: a barrier of std would sleep.
#[derive(Default)]
pub(crate) struct Start(AtomicUsize);

impl Start {
    pub(crate) fn wait(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
        let mut patience = Patience::new();
        while self.0.load(Ordering::Acquire) < 2 {
            patience.wait();
        }
    }
}

/// Spins for a while, then lets others run: the other thread may have no CPU.
pub(crate) struct Patience(Cell<u32>);

impl Patience {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(0))
    }

    pub(crate) fn wait(&mut self) {
        let tries = self.0.get_mut();
        *tries += 1;
        if tries.is_multiple_of(256) { thread::yield_now() } else { hint::spin_loop() }
    }
}

/// Runs the same on two threads, numbered 1 and 2, and gives the longer time.
pub(crate) fn both(work: impl Fn(u64, &Start) -> Duration + Sync) -> Duration {
    let start = Start(AtomicUsize::new(0));
    thread::scope(|scope| {
        let other = scope.spawn(|| work(2, &start));
        let mine = work(1, &start);
        mine.max(other.join().expect("the other thread's work"))
    })
}
