//! The queue of pages that wait to be freed, in a map with notes above its words.
//!
//! Guards: whatever was queued before a taking is taken by it or by another that has come to it, so that no page stays behind in a
//! queue that says it is empty; and what it stands for is seen by who takes it (set with Release, taken with Acquire).
//!
//! A `SeqCst` load never misses a newer `SeqCst` store here, and looks are made in their order: that the look at a note is Acquire is
//! argued, not shown.

use std::sync::Arc;

use kernel_arena::sync::{AtomicU64, Ordering};

use crate::explore::{explore_without_arena, preemptions, preemptions_if_long};
use crate::maps::{Marks, Queue};
use crate::race::{race, race_of_three};

/// Words of the map, more than one: so it has notes.
const WORDS: usize = 2;

struct Pages {
    queue: Queue,
    /// What was written before a page was queued.
    written: AtomicU64,
}

impl Pages {
    fn new() -> Arc<Self> {
        let words: Vec<_> = (0..Marks::words_for(WORDS)).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { queue: Queue::new(Marks::new(words.leak(), WORDS)), written: AtomicU64::new(0) })
    }

    fn put(&self, bit: u32) {
        self.written.store(1, Ordering::Relaxed);
        self.queue.put_bit(bit);
    }

    /// How many pages it took.
    fn take(&self) -> u32 {
        let mut taken = 0;
        self.queue.take_all(&mut |_, mask| {
            assert_eq!(self.written.load(Ordering::Relaxed), 1, "what was written before is seen");
            taken += mask.count_ones();
        });
        taken
    }

    /// What was queued before this, and is not taken yet, is not missed by who looks at the flag alone.
    fn assert_not_empty_with(&self, bit: u32) {
        let is_taken = || !self.queue.pages().bits().test(bit, Ordering::Relaxed);
        assert!(!self.queue.is_empty() || is_taken(), "the queue is empty with a page in it");
    }

    /// At rest nothing is left, whatever the queue says of itself.
    fn assert_empty(&self) {
        assert_eq!(self.queue.pages().bits().count(), 0, "a page stays behind");
    }
}

#[test]
fn who_queues_and_then_takes_leaves_nothing_whoever_else_takes() {
    // In a word that is noted already, and in one that is not.
    for bit in [65, 0] {
        explore_without_arena(&format!("{bit} put and a taking against a taking"), preemptions(4), 2, move |first| {
            let pages = Pages::new();
            pages.put(64);
            let put_and_take = move |pages: &Pages| {
                pages.put(bit);
                pages.assert_not_empty_with(bit);
                pages.take()
            };
            let (ours, theirs) = race(first, &pages, put_and_take, Pages::take);
            assert_eq!(ours + theirs, 2);
            pages.assert_empty();
        });
    }
}

#[test]
fn two_takings_leave_nothing_of_a_third_ones() {
    explore_without_arena("a put and a taking against two takings", preemptions_if_long(2, 3), 3, |first| {
        let pages = Pages::new();
        pages.put(1);
        let put_and_take = |pages: &Pages| {
            pages.put(0);
            let taken = pages.take();
            pages.assert_not_empty_with(0);
            taken
        };
        let (ours, theirs, others) = race_of_three(first, &pages, put_and_take, Pages::take, Pages::take);
        assert_eq!(ours + theirs + others, 2);
        pages.assert_empty();
    });
}

#[test]
fn what_two_queue_is_found_by_the_next() {
    explore_without_arena("two puts against a taking", preemptions_if_long(2, 3), 3, |first| {
        let pages = Pages::new();
        pages.written.store(1, Ordering::Relaxed);
        let ((), (), taken) =
            race_of_three(first, &pages, |pages| pages.put(0), |pages| pages.queue.put(1, 8), Pages::take);
        assert_eq!(taken + pages.take(), 2);
        pages.assert_empty();
    });
}
