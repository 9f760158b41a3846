//! The queue of pages that wait to be freed: a bit a page, and how many there are.
//!
//! Mostly it is empty, or has few pages in a large extent. So the bits are counted (`counted`): who finds none has looked at
//! one word. Where there are some, those words are looked at first that are noted (`marks`), which is a hint; if they had less
//! than was counted, all of them are.

use super::Marks;
use super::counted::AtLeast;
use crate::sync::Line;

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pages: Marks,
    queued: Line<AtLeast>,
}

impl Queue {
    pub(super) fn new(pages: Marks) -> Self {
        Self { pages, queued: Line(AtLeast::none()) }
    }

    /// The bits, to be looked at.
    #[inline]
    pub(crate) const fn pages(&self) -> &Marks {
        &self.pages
    }

    /// Whether nothing is queued: nothing whose queueing comes before this.
    pub(crate) fn is_empty(&self) -> bool {
        self.queued.0.is_none()
    }

    /// Queues pages of one word. Release: whoever takes their bits sees their slots.
    pub(crate) fn put(&self, word: u32, mask: u64) {
        if mask != 0 {
            self.queued.0.set(mask.count_ones(), || self.pages.set(word, mask).count_ones());
        }
    }

    /// Queues a page.
    pub(crate) fn put_bit(&self, bit: u32) {
        self.put(bit / 64, 1 << (bit % 64));
    }

    /// Takes all that is queued now, word by word. Whatever was queued before this call is taken by it or by another.
    pub(crate) fn take_all(&self, mut taken: impl FnMut(u32, u64)) {
        let most = self.queued.0.count();
        let mut count = 0;
        let mut take = |word| {
            let mut mask = 0;
            self.queued.0.clear(|| {
                mask = self.pages.take(word, !0);
                mask.count_ones()
            });
            count += u64::from(mask.count_ones());
            if mask != 0 {
                taken(word, mask);
            }
            count
        };
        if most == 0 || self.pages.noted_words().any(|word| take(word) >= most) {
            return;
        }
        self.pages.bits().words_with_some().for_each(|word| _ = take(word));
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
                queue.take_all(|word, mask| taken.push((word, mask)));
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
            // A note that was lost.
            queue.put_bit(70);
            queue.pages.forget_notes();
            assert_eq!(take(), [(1, 1 << 6)]);
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
