//! Free pages that have memory behind them: which they are, and how many there may be.
//!
//! To have a page's memory taken away and brought back by the system costs a microsecond; to keep it costs memory. So up
//! to a 128th of the window is kept, and what is more goes back. If pages whose memory went back are taken soon again,
//! that was wrong, and by so many more may be kept from then on, up to a 32nd; if they are not, half of what may be kept
//! beyond the 128th is given up. So a program that frees and takes the same runs in turns pays once, and one whose
//! high tide is over keeps little.
//!
//! Who holds a page alone changes its bit. The figures are estimates: all is Relaxed, since pages change hands in the
//! region.

use crate::addr::{PageCount, PageRange};
use crate::pages::{Bitmap, masks};
use crate::sync::{AtomicU32, Ordering};

/// One page in so many is kept.
const FRACTION: u32 = 128;
/// So many times that may be kept where giving back was wrong.
const MOST: u32 = 4;

/// See the module. Pages are numbered from 1 on.
#[derive(Debug)]
pub(super) struct Kept {
    map: Bitmap,
    count: AtomicU32,
    /// How many may be kept.
    limit: AtomicU32,
    /// How many of those that went back last were not taken since.
    given: AtomicU32,
    /// How many may be kept at least.
    least: u32,
}

impl Kept {
    /// None is kept yet. The map has a bit for each of so many pages.
    pub(super) const fn new(map: Bitmap, pages: PageCount) -> Self {
        let least = pages.get() / FRACTION;
        let (count, given) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { map, count, limit: AtomicU32::new(least), given, least }
    }

    /// How many are kept.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// How many may be.
    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Words of the map.
    pub(super) fn word_count(&self) -> u32 {
        self.map.word_count()
    }

    /// The pages of a word, 64 of them, that are kept.
    pub(super) fn word(&self, word: u32) -> u64 {
        self.map.word(word, Ordering::Relaxed)
    }

    /// Notes that the memory of pages that the caller holds is kept; says of how many pages now.
    pub(super) fn keep(&self, pages: PageRange) -> u32 {
        for (word, mask) in masks(pages.first().number() - 1, pages.count().get()) {
            self.map.set(word, mask);
        }
        self.count.fetch_add(pages.count().get(), Ordering::Relaxed) + pages.count().get()
    }

    /// Notes that pages are the caller's now, and gives those that were kept to `each`: the number of a word of 64 pages,
    /// and their bits. Says how many these were.
    pub(super) fn take(&self, pages: PageRange, mut each: impl FnMut(u32, u64)) -> u32 {
        let mut count = 0;
        for (word, mask) in masks(pages.first().number() - 1, pages.count().get()) {
            if self.map.word(word, Ordering::Relaxed) & mask != 0 {
                let kept = self.map.take(word, mask);
                count += kept.count_ones();
                each(word, kept);
            }
        }
        if count > 0 {
            self.count.fetch_sub(count, Ordering::Relaxed);
        }
        count
    }

    /// So many pages without memory were taken for use.
    #[inline]
    pub(super) fn missed(&self, count: u32) {
        if count > 0 && self.given.load(Ordering::Relaxed) > 0 {
            self.regret(count);
        }
    }

    #[cold]
    fn regret(&self, count: u32) {
        let less = |given: u32| Some(given.saturating_sub(count));
        let given = self.given.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_default();
        let more = |limit: u32| Some((limit + given.min(count)).min(MOST * self.least));
        let _ = self.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// So many go back to the system, since more are free than may be kept.
    pub(super) fn give(&self, count: u32) {
        if self.given.swap(count, Ordering::Relaxed) > 0 {
            let less = |limit: u32| Some(self.least + limit.saturating_sub(self.least) / 2);
            let _ = self.limit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    fn kept() -> Kept {
        let words: Vec<AtomicU64> = (0..256).map(|_| AtomicU64::new(0)).collect();
        Kept::new(Bitmap::new(words.leak()), PageCount::new(128 * 100).unwrap())
    }

    #[test]
    fn what_went_back_and_is_wanted_again_is_kept_the_next_time() {
        let kept = kept();
        kept.give(150);
        kept.missed(60);
        kept.missed(200);
        assert_eq!(kept.limit(), 250, "no more than what went back");
        kept.missed(200);
        assert_eq!(kept.limit(), 250, "all of that is taken");
        kept.give(1000);
        kept.missed(1000);
        assert_eq!(kept.limit(), 400, "a 32nd at most");
    }

    #[test]
    fn what_went_back_and_is_not_wanted_halves_what_may_be_kept_beyond_the_least() {
        let kept = kept();
        kept.give(300);
        kept.missed(300);
        assert_eq!(kept.limit(), 400);
        kept.give(500);
        assert_eq!(kept.limit(), 400, "nothing is known of these yet");
        kept.give(500);
        assert_eq!(kept.limit(), 250);
        (0..10).for_each(|_| kept.give(1));
        assert_eq!(kept.limit(), 100);
    }

    #[test]
    fn pages_are_counted_as_they_are_kept_and_taken() {
        let kept = kept();
        let run = |first: u32, count: u32| PageRange::of(first, count);
        assert_eq!(kept.keep(run(60, 10)), 10);
        let mut seen = Vec::new();
        assert_eq!(kept.take(run(62, 100), |word, bits| seen.push((word, bits.count_ones()))), 8);
        assert_eq!((seen, kept.count()), (vec![(0, 3), (1, 5)], 2));
    }
}
