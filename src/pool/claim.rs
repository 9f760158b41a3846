//! Runs of granules: where one is free, and who has it.

use super::ledger::Ledger;
use super::record::{GROUP_PAGES, PAGE_GRANULES, PAGE_WORDS, PageRecord, acquire};
use super::run::Run;
use crate::pages::RunSearch;
use crate::sync::Ordering;

/// What a search goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hints {
    /// Pages that are noted as full are passed over.
    Trusted,
    /// Every word is looked at.
    Ignored,
}

impl Ledger {
    /// The lowest run of `count` granules, from granule `from` on, whose first number is a multiple of `align`.
    pub(super) fn search(&self, from: u32, count: u32, align: u32, hints: Hints) -> Option<Run> {
        let (low, high) = self.bounds();
        let from = from.max(low * PAGE_GRANULES);
        let search = RunSearch { from, end: high * PAGE_GRANULES, count, align, origin: 0 };
        let first = match hints {
            Hints::Trusted => search.lowest(|word| self.taken_bits(word), |word| self.skip_full(word, high)),
            Hints::Ignored => search.lowest(|word| self.taken_bits(word), |word| word),
        };
        first.map(|first| Run { first, count })
    }

    /// The next word, from `word` on, of a page that is not noted as full.
    fn skip_full(&self, word: u32, high: u32) -> u32 {
        let mut page = word / PAGE_WORDS;
        while page < high {
            if let Some((group, slot)) = self.group(page) {
                let open = !group.full.load(Ordering::Relaxed) >> slot;
                if open != 0 {
                    return word.max((page + open.trailing_zeros()) * PAGE_WORDS);
                }
            }
            page = (page / GROUP_PAGES + 1) * GROUP_PAGES;
        }
        high * PAGE_WORDS
    }

    /// Takes all granules of a run, or none. Lowest word first: of those who meet, the one ahead goes on.
    pub(super) fn claim(&self, run: Run) -> bool {
        for (word, mask) in run.words() {
            if !self.taken(word).is_some_and(|taken| acquire(taken, mask)) {
                self.unclaim(run.before_word(word));
                return false;
            }
        }
        run.pages().for_each(|page| self.note_full(page));
        true
    }

    /// Gives up granules that the caller has. Release: their next holder sees all that was done with them.
    pub(super) fn unclaim(&self, run: Run) {
        for (taken, mask) in run.words().filter_map(|(word, mask)| Some((self.taken(word)?, mask))) {
            taken.fetch_and(!mask, Ordering::Release);
        }
        for (group, slot) in run.pages().filter_map(|page| self.group(page)) {
            if group.full.load(Ordering::Relaxed) & (1 << slot) != 0 {
                group.full.fetch_and(!(1 << slot), Ordering::Relaxed);
            }
        }
    }

    /// Notes that a page is full; takes the note back if somebody gave a granule back meanwhile. A note that is wrong
    /// all the same costs a search that goes without, never a block.
    fn note_full(&self, page: u32) {
        let Some((group, slot)) = self.group(page) else { return };
        let is_full = || group.pages.get(slot as usize).is_some_and(PageRecord::is_full);
        if !is_full() {
            return;
        }
        group.full.fetch_or(1 << slot, Ordering::Relaxed);
        if !is_full() {
            group.full.fetch_and(!(1 << slot), Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use core::alloc::Layout;

    use super::*;
    use crate::addr::PageRange;
    use crate::platform::{CpuCount, CpuIdentity, CpuLevel};
    use crate::pool::Pool;
    use crate::source::{Region, StaticMetadata, region_words};

    /// The granules of pages 1 to 4, all free.
    fn ledger(metadata: &&StaticMetadata<3>) -> (Ledger, Run) {
        let (ledger, pages) = (Ledger::new(), PageRange::of(1, 4));
        ledger.prepare(pages, metadata).unwrap();
        ledger.unclaim(Run::of_pages(pages));
        (ledger, Run::of_pages(pages))
    }

    #[test]
    fn a_claim_that_fails_gives_back_exactly_what_it_took() {
        let (ledger, all) = ledger(&&StaticMetadata::new());
        let (other, own) = (Run { first: all.first + 700, count: 1 }, Run { first: all.first + 10, count: 5 });
        assert!(ledger.claim(other) && ledger.claim(own));
        assert!(!ledger.claim(Run { first: all.first + 20, count: 800 }));
        assert!(!ledger.claim(Run { first: all.first + 12, count: 10 }));
        let taken = |granule: u32| ledger.taken_bits(granule / 64) & 1 << (granule % 64) != 0;
        let expected =
            |granule| (other.first..other.end()).contains(&granule) || (own.first..own.end()).contains(&granule);
        assert!((all.first..all.end()).all(|granule| taken(granule) == expected(granule)));
        // Nothing beyond the pages that are there can be had.
        assert!(!ledger.claim(Run { first: all.end() - 1, count: 2 }));
        assert!(!taken(all.end() - 1));
    }

    #[test]
    fn a_wrong_hint_hides_a_run_from_the_first_search_only() {
        let (ledger, all) = ledger(&&StaticMetadata::new());
        let found = |hints| ledger.search(0, 100, 1, hints).map(|run| run.first);
        assert_eq!((found(Hints::Trusted), found(Hints::Ignored)), (Some(all.first), Some(all.first)));
        ledger.group(1).unwrap().0.full.store(!0, Ordering::Relaxed);
        assert_eq!((found(Hints::Trusted), found(Hints::Ignored)), (None, Some(all.first)));
        // A granule that is given back sets its page right.
        let one = Run { first: all.first + 600, count: 1 };
        assert!(ledger.claim(one));
        ledger.unclaim(one);
        assert_eq!(found(Hints::Trusted), Some(all.first + 512));
    }

    struct Nobody;
    impl CpuIdentity for Nobody {
        fn current(&self) -> Option<CpuLevel> {
            None
        }
        fn count(&self) -> CpuCount {
            CpuCount::ONE
        }
    }

    #[test]
    fn a_wrong_hint_never_makes_an_allocation_fail() {
        let (memory, words) = (Box::new_uninit_slice(4), Box::new_uninit_slice(region_words(4)));
        let metadata: StaticMetadata<3> = StaticMetadata::new();
        // SAFETY: saying nothing is always right.
        let region = unsafe { Region::new(Box::leak(memory), Box::leak(words), Nobody) };
        let pool = Pool::new(region, &metadata);
        let layout = Layout::new::<u64>();
        let first = pool.alloc(layout).unwrap();
        pool.ledger.group(1).unwrap().0.full.store(!0, Ordering::Relaxed);
        let second = pool.alloc(layout).unwrap();
        assert_eq!(second.offset(), first.offset() + 8);
        assert_eq!(pool.destroy().live_blocks, 2);
    }
}
