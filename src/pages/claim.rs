//! Claiming: the exclusive right to install into slots.

use super::search::RunSearch;
use super::{PageMaps, masks};
use crate::addr::PageRange;
use crate::sync::Ordering;

/// Which pages a search leaves alone, besides those that are claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Avoid {
    /// Those whose slot may hold scratch.
    Tainted,
    /// None.
    Nothing,
}

/// Pages could not be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimError {
    /// No run was found.
    NoRun,
    /// This page is taken.
    Taken(u32),
}

impl PageMaps {
    /// Claims exactly these pages of the extent.
    pub(crate) fn claim(&self, pages: PageRange) -> Result<(), ClaimError> {
        let first = self.bit_of(pages.first().number());
        for (word, mask) in masks(first, pages.count().get()) {
            match self.claimed.acquire(word, mask) {
                Ok(now) => self.note_full(word, now),
                Err(taken) => {
                    let before = (word * 64).saturating_sub(first);
                    self.unclaim_bits(first, before);
                    return Err(ClaimError::Taken(self.page_of(word * 64 + taken.trailing_zeros())));
                }
            }
        }
        Ok(())
    }

    /// Claims the lowest run of `count` pages whose first number is a multiple of `align`, a power of two.
    ///
    /// Who lost a race goes on at `own_start`, a fraction of the extent in 2^-16, so that CPUs that met once do not keep
    /// meeting; what lies below is looked at last. Each loss is another's gain, so all together always move on.
    pub(crate) fn claim_run(
        &self,
        count: u32,
        align: u32,
        avoid: Avoid,
        own_start: u16,
    ) -> Result<PageRange, ClaimError> {
        let mut from = 0;
        loop {
            let from_start = || {
                if from > 0 { self.search(0, count, align, avoid) } else { None }
            };
            let run = self.search(from, count, align, avoid).or_else(from_start);
            let pages = run.ok_or(ClaimError::NoRun)?;
            if self.claim(pages).is_ok() {
                return Ok(pages);
            }
            let offset = (u64::from(self.geometry.count) * u64::from(own_start)) >> 16;
            from = (offset & 0xffff_ffff) as u32;
        }
    }

    /// The lowest run from `from`, an offset into the extent, on: first with the help of the hints, then without.
    fn search(&self, from: u32, count: u32, align: u32, avoid: Avoid) -> Option<PageRange> {
        let taken = |word: u32| self.claimed.word(word, Ordering::Relaxed) | self.avoided(word, avoid);
        self.search_words(from, count, align, taken, |word| self.skip_full(word))
            .or_else(|| self.search_words(from, count, align, taken, |word| word))
    }

    /// The pages of a word that are left alone, claimed or not.
    fn avoided(&self, word: u32, avoid: Avoid) -> u64 {
        match avoid {
            Avoid::Tainted => self.tainted.word(word, Ordering::Relaxed),
            Avoid::Nothing => 0,
        }
    }

    fn search_words(
        &self,
        from: u32,
        count: u32,
        align: u32,
        taken: impl Fn(u32) -> u64,
        skip: impl Fn(u32) -> u32,
    ) -> Option<PageRange> {
        let extent = self.extent_bits().numbers();
        let search =
            RunSearch { from: extent.start + from, end: extent.end, count, align, origin: self.geometry.origin };
        search.lowest(taken, skip).map(|bit| PageRange::of(self.page_of(bit), count))
    }

    /// Whether there is a run if, of the pages that are claimed, those that `passing` gives for a word are left out. Looks at
    /// the words themselves, not at hints.
    pub(crate) fn has_run_without(
        &self,
        count: u32,
        align: u32,
        avoid: Avoid,
        passing: impl Fn(u32, u64) -> u64,
    ) -> bool {
        let taken = |word: u32| {
            let claimed = self.claimed.word(word, Ordering::Relaxed);
            claimed & !passing(word, claimed) | self.avoided(word, avoid)
        };
        self.search_words(0, count, align, taken, |word| word).is_some()
    }

    /// Makes pages claimable again. Release: all that was done to them is seen by the next holder (I5).
    pub(crate) fn unclaim(&self, pages: PageRange) {
        self.unclaim_bits(self.bit_of(pages.first().number()), pages.count().get());
    }

    fn unclaim_bits(&self, first: u32, count: u32) {
        for (word, mask) in masks(first, count) {
            self.claimed.release(word, mask);
            if self.full.test(word, Ordering::Relaxed) {
                self.full.take_bit(word);
            }
        }
    }

    /// Notes that a word of `claimed` is full; takes the note back if somebody gave a page back meanwhile. A hint that is
    /// wrong all the same costs a second search, never a page.
    fn note_full(&self, word: u32, now: u64) {
        if now != !0 {
            return;
        }
        self.full.set_bit(word);
        if self.claimed.word(word, Ordering::Relaxed) != !0 {
            self.full.take_bit(word);
        }
    }

    /// The next word, from `word` on, that is not noted as full.
    fn skip_full(&self, mut word: u32) -> u32 {
        while word / 64 < self.full.word_count() {
            let noted = self.full.word(word / 64, Ordering::Relaxed) >> (word % 64);
            let run = noted.trailing_ones();
            if run < 64 - word % 64 {
                return word + run;
            }
            word += 64 - word % 64;
        }
        word
    }
}
