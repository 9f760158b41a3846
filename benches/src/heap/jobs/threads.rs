//! Objects that one thread takes and another gives back.

use std::alloc::Layout;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Subject, take};
use crate::harness::{Patience, both};

/// Objects that a queue holds.
const CAPACITY: usize = 1024;
/// The two threads tell each other how far they are after so many objects, which divide the capacity: then neither waits for
/// what the other has not yet told.
const BATCH: usize = 64;

#[repr(align(128))]
struct Line<T>(T);

/// A ring that one thread fills and one empties, as fast as such a thing can be: it is not what is measured.
struct Ring {
    slots: Line<[AtomicPtr<u8>; CAPACITY]>,
    filled: Line<AtomicUsize>,
    emptied: Line<AtomicUsize>,
}

/// One thread's end of the ring.
struct End<'a> {
    slots: &'a [AtomicPtr<u8>; CAPACITY],
    /// How far the other thread is, and how far it was when we looked.
    theirs: &'a AtomicUsize,
    seen: usize,
    ours: &'a AtomicUsize,
    done: usize,
}

impl Ring {
    const fn new() -> Self {
        Self {
            slots: Line([const { AtomicPtr::new(ptr::null_mut()) }; CAPACITY]),
            filled: Line(AtomicUsize::new(0)),
            emptied: Line(AtomicUsize::new(0)),
        }
    }

    const fn front(&self) -> End<'_> {
        End { slots: &self.slots.0, theirs: &self.emptied.0, seen: 0, ours: &self.filled.0, done: 0 }
    }

    const fn back(&self) -> End<'_> {
        End { slots: &self.slots.0, theirs: &self.filled.0, seen: 0, ours: &self.emptied.0, done: 0 }
    }
}

impl End<'_> {
    /// The next slot, once the other thread is more than `lead` ahead of us.
    #[inline]
    fn next(&mut self, lead: isize) -> &AtomicPtr<u8> {
        while self.seen.wrapping_sub(self.done).cast_signed() <= lead {
            self.catch_up(lead);
        }
        &self.slots[self.done % CAPACITY]
    }

    #[cold]
    fn catch_up(&mut self, lead: isize) {
        let mut patience = Patience::new();
        while self.seen.wrapping_sub(self.done).cast_signed() <= lead {
            patience.wait();
            self.seen = self.theirs.load(Ordering::Acquire);
        }
    }

    #[inline]
    fn advance(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(BATCH) {
            self.ours.store(self.done, Ordering::Release);
        }
    }

    #[inline]
    fn put(&mut self, object: *mut u8) {
        self.next(-CAPACITY.cast_signed()).store(object, Ordering::Relaxed);
        self.advance();
    }

    #[inline]
    fn get(&mut self) -> *mut u8 {
        let object = self.next(0).load(Ordering::Relaxed);
        self.advance();
        object
    }
}

/// One thread takes objects and puts them into a queue, another gives them back.
pub(super) fn handed<S: Subject>(layout: Layout, operations: usize) -> Duration {
    let operations = operations.next_multiple_of(BATCH);
    let ring = Ring::new();
    both(|number, start| {
        start.wait();
        let started = Instant::now();
        if number == 1 {
            let mut front = ring.front();
            (0..operations).for_each(|_| front.put(take::<S>(layout)));
        } else {
            let mut back = ring.back();
            // SAFETY: the other thread took it with this layout, and gave it to us.
            (0..operations).for_each(|_| unsafe { S::free(back.get(), hint::black_box(layout)) });
        }
        started.elapsed()
    })
}
