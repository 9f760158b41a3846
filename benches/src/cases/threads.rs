//! What needs two threads.

use std::alloc::Layout;
use std::cell::Cell;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Subject, take};

/// Lets two threads go at the same moment: a barrier of std would sleep.
pub(super) struct Start(AtomicUsize);

impl Start {
    pub(super) fn wait(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
        let mut patience = Patience::new();
        while self.0.load(Ordering::Acquire) < 2 {
            patience.wait();
        }
    }
}

/// Spins for a while, then lets others run: the other thread may have no CPU.
struct Patience(Cell<u32>);

impl Patience {
    const fn new() -> Self {
        Self(Cell::new(0))
    }

    fn wait(&mut self) {
        let tries = self.0.get_mut();
        *tries += 1;
        if tries.is_multiple_of(256) { thread::yield_now() } else { hint::spin_loop() }
    }
}

/// Runs the same on two threads, numbered 1 and 2, and gives the longer time.
pub(super) fn both(work: impl Fn(u64, &Start) -> Duration + Sync) -> Duration {
    let start = Start(AtomicUsize::new(0));
    thread::scope(|scope| {
        let other = scope.spawn(|| work(2, &start));
        let mine = work(1, &start);
        mine.max(other.join().expect("the other thread's work"))
    })
}

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
