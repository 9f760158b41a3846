//! The queue of pages that wait to be freed: a bit a page, and whether there are any.
//!
//! Mostly it is empty, or has few pages in a large extent. So there is a *flag*: who finds nothing there has looked at one word.
//! Otherwise those words are looked at that are noted (`marks`).
//!
//! Who queues sets the bit, then its word's note, then the flag, the last two unless they are set. Who takes begins a *check*,
//! which clears the flag; then takes each note and after it the word's bits; then ends the check. Checks are counted beside the flag:
//! the queue is empty when the flag is clear and no check is under way.
//!
//! # Nothing stays behind
//! Let one set a bit and another take its word. If the bit was set first, it is taken. Otherwise it was set after all that comes
//! before the taking (both are one word's, with Acquire and Release): whoever set it then sees its note cleared and the flag, and
//! sets both again.
//!
//! There is left that who takes does not come to the word, since he does not see its note. Setting the note (`n`), looking at the
//! flag (`f`), clearing it (`c`) and the look at the notes that follows (`l`) are `SeqCst`, so there is one order of them, in
//! which `n` is before `f`: who set the note looked after it, and who found it set by another saw that with Acquire. And `c` is before
//! `l`. If `l` did not see `n`, it is before `n`, so `c` is before `f`: the flag is set once more. No barrier is paid for that: what
//! writes is a locked instruction on `x86_64`, where loads are plain; on aarch64 a load is an `ldar`, which does not overtake it.
//! (In a small map bits stand for notes.)
//!
//! So whatever was queued before a taking is taken by it, or by another that has come to its note; and until it is taken the queue is
//! not empty, for that other's check is not over.

use super::Marks;
use crate::sync::{AtomicU64, Line, Ordering};

/// Something was queued since the last check began.
const SET: u64 = 1;
/// One check that is under way: the rest of the word counts them.
const CHECK: u64 = 2;

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pages: Marks,
    flag: Line<AtomicU64>,
}

impl Queue {
    pub(crate) fn new(pages: Marks) -> Self {
        Self { pages, flag: Line(AtomicU64::new(0)) }
    }

    /// The bits, to be looked at.
    #[inline]
    pub(crate) const fn pages(&self) -> &Marks {
        &self.pages
    }

    /// Whether nothing is queued: nothing whose queueing comes before this. Who queued has seen the flag set, so who comes after
    /// reads that, or what checks made of it; with Acquire, so that he comes after those checks, and what they took.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.flag.0.load(Ordering::Acquire) == 0
    }

    /// Queues pages of one word. Release: whoever takes their bits sees their slots.
    pub(crate) fn put(&self, word: u32, mask: u64) {
        if mask != 0 {
            self.pages.set(word, mask);
            self.announce();
        }
    }

    /// Queues a page.
    #[inline]
    pub(crate) fn put_bit(&self, bit: u32) {
        self.pages.set_bit(bit);
        self.announce();
    }

    #[inline]
    fn announce(&self) {
        if self.flag.0.load(Ordering::SeqCst) & SET == 0 {
            self.flag.0.fetch_or(SET, Ordering::SeqCst);
        }
    }

    /// Takes all that is queued now, word by word. Whatever was queued before this call is taken by it or by another.
    pub(crate) fn take_all(&self, taken: &mut dyn FnMut(u32, u64)) {
        if self.is_empty() {
            return;
        }
        // Counted before the flag is cleared, as one word's changes go. SeqCst for the model, which else lets `f` read this after `c`.
        self.flag.0.fetch_add(CHECK, Ordering::SeqCst);
        self.flag.0.fetch_and(!SET, Ordering::SeqCst);
        self.pages.take_all(taken);
        // Release: who finds the queue empty comes after what was taken.
        self.flag.0.fetch_sub(CHECK, Ordering::Release);
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    #[test]
    fn all_that_is_queued_is_taken_once_whatever_is_noted() {
        for words in [3, 200] {
            let lent: Vec<_> = (0..Marks::words_for(words)).map(|_| AtomicU64::new(0)).collect();
            let queue = Queue::new(Marks::new(lent.leak(), words));
            let take = || {
                let mut taken = Vec::new();
                queue.take_all(&mut |word, mask| taken.push((word, mask)));
                taken
            };
            assert_eq!(take(), []);
            queue.put(1, 0);
            assert_eq!(take(), []);
            queue.put_bit(64);
            queue.put(1, 0b11);
            queue.put_bit(130);
            assert_eq!(take(), [(1, 0b11), (2, 0b100)]);
            assert_eq!(take(), []);
            queue.put_bit(70);
            assert!(!queue.is_empty());
            assert_eq!(take(), [(1, 1 << 6)]);
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn what_is_noted_of_a_large_map_are_the_words_that_have_bits() {
        let lent: Vec<_> = (0..Marks::words_for(200)).map(|_| AtomicU64::new(0)).collect();
        let marks = Marks::new(lent.leak(), 200);
        let noted = || marks.noted_words().collect::<Vec<_>>();
        assert_eq!(noted(), []);
        [199, 0, 64, 130, 63].into_iter().for_each(|word| _ = marks.set(word, 1 << 5));
        assert_eq!(noted(), [0, 63, 64, 130, 199]);
        marks.take(64, !0);
        assert_eq!(noted(), [0, 63, 130, 199]);
    }
}
