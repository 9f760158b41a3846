//! Runs of granules: where one is free, and who has it.

use super::ledger::Ledger;
use super::record::{GROUP_PAGES, NODE_PAGES, PAGE_GRANULES, PAGE_WORDS};
use super::run::Run;
use crate::pages::{BLOCK_WORDS, Blocks, Bound, FreeMap, PairTest, Wanted};
use crate::sync::{AtomicU64, Ordering};

impl Ledger {
    /// The lowest run of `count` granules, from granule `from` on, whose first number is a multiple of `align`.
    pub(super) fn search(&self, from: u32, count: u32, align: u32) -> Option<Run> {
        let from = from.max(self.bounds().0 * PAGE_GRANULES);
        FreeMap(self).lowest(from, Wanted { count, align, origin: 0 }, None).map(|first| Run { first, count })
    }

    /// Takes all granules of a run, or none.
    pub(super) fn claim(&self, run: Run) -> bool {
        FreeMap(self).claim(run.first, run.count).is_ok()
    }

    /// Gives up granules that the caller has. Release: their next holder sees all that was done with them.
    pub(super) fn unclaim(&self, run: Run) {
        FreeMap(self).unclaim(run.first, run.count);
    }
}

const _: () = assert!(BLOCK_WORDS == PAGE_WORDS);

/// A page's granules are a block.
impl Blocks for &Ledger {
    fn end(&self) -> u32 {
        self.bounds().1
    }

    fn words(&self, page: u32) -> Option<&[AtomicU64]> {
        self.record(page).map(|record| &record.taken[..])
    }

    fn next_present(&self, page: u32) -> u32 {
        let mut page = page;
        while page < self.end() && self.group(page).is_none() {
            let size = if self.has_node(page) { GROUP_PAGES } else { NODE_PAGES };
            page = (page / size + 1) * size;
        }
        page
    }

    fn bound(&self, page: u32) -> Option<Bound<'_>> {
        let (group, slot) = self.group(page)?;
        Some(Bound { pair: group.bounds.get(slot as usize / 2)?, half: slot % 2 })
    }

    fn next_unpassed(&self, mut page: u32, test: PairTest) -> u32 {
        let end = self.end();
        while page < end {
            let Some((group, slot)) = self.group(page) else { return page };
            let pairs = group.bounds.get(slot as usize / 2..).unwrap_or_default();
            match pairs.iter().position(|pair| !test.passes(pair)) {
                // The last of an odd number never passes.
                Some(passed) => return page + 2 * u32::try_from(passed).unwrap_or(0),
                None => page += GROUP_PAGES - slot,
            }
        }
        page
    }

    #[inline]
    fn next_open(&self, page: u32) -> u32 {
        self.next_open_page(page)
    }

    fn is_noted(&self, page: u32) -> bool {
        self.group(page).is_some_and(|(group, slot)| group.full.load(Ordering::Relaxed) & (1 << slot) != 0)
    }

    fn note_full(&self, page: u32) {
        if let Some((group, slot)) = self.group(page) {
            group.full.fetch_or(1 << slot, Ordering::Relaxed);
        }
    }

    fn note_open(&self, page: u32) {
        let Some((group, slot)) = self.group(page) else { return };
        if group.full.load(Ordering::Relaxed) & (1 << slot) != 0 {
            group.full.fetch_and(!(1 << slot), Ordering::Relaxed);
        }
        self.note_open_node(page);
    }
}

impl Ledger {
    /// The next page, from this one on, that is not noted as full; the end of all if there is none.
    #[inline]
    pub(super) fn next_open_page(&self, page: u32) -> u32 {
        let (low, high) = self.bounds();
        let page = page.max(low);
        if page < high && !self.is_noted_node(page) {
            if let Some((group, slot)) = self.group(page) {
                let open = !group.full.load(Ordering::Relaxed) >> slot;
                if open != 0 {
                    return page + open.trailing_zeros();
                }
            }
        }
        self.next_open_from(page, low, high)
    }

    /// The next page that is not noted as full, however far it is; nodes without one are noted.
    fn next_open_from(&self, mut page: u32, low: u32, high: u32) -> u32 {
        while page < high {
            let (start, next) = (page, (page / NODE_PAGES + 1) * NODE_PAGES);
            if !self.is_noted_node(page) {
                if let Some(open) = self.next_open_before(&mut page, next.min(high)) {
                    return open;
                }
                if start <= low.max(next - NODE_PAGES) && next <= high {
                    self.note_full_node(start);
                }
            }
            page = next;
        }
        high
    }

    /// The next page, up to `end`, that is not noted as full.
    fn next_open_before(&self, page: &mut u32, end: u32) -> Option<u32> {
        while *page < end {
            if let Some((group, slot)) = self.group(*page) {
                let open = !group.full.load(Ordering::Relaxed) >> slot;
                if open != 0 {
                    return Some(*page + open.trailing_zeros());
                }
            }
            *page = (*page / GROUP_PAGES + 1) * GROUP_PAGES;
        }
        None
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
    fn a_wrong_note_does_not_hide_the_last_run() {
        let (ledger, all) = ledger(&&StaticMetadata::new());
        let found = || ledger.search(0, 100, 1).map(|run| run.first);
        assert_eq!(found(), Some(all.first));
        let full = &ledger.group(1).unwrap().0.full;
        full.store(!0, Ordering::Relaxed);
        assert_eq!(found(), Some(all.first));
        assert!(!Blocks::is_noted(&&ledger, 1), "who found it has set its page right");
        full.store(!0, Ordering::Relaxed);
        // A granule that is given back sets its page right, which then comes first.
        let one = Run { first: all.first + 600, count: 1 };
        assert!(ledger.claim(one));
        ledger.unclaim(one);
        assert_eq!(found(), Some(all.first + 512));
    }

    #[test]
    fn a_run_is_found_in_any_page_of_a_group_and_across_groups() {
        let metadata: StaticMetadata<9> = StaticMetadata::new();
        let (ledger, pages) = (Ledger::new(), PageRange::of(3, 60));
        ledger.prepare(pages, &&metadata).unwrap();
        let all = Run::of_pages(pages);
        for first in (all.first..all.end() - 700).step_by(350) {
            let run = Run { first, count: 700 };
            ledger.unclaim(run);
            // The second time bounds say where it is.
            for _ in 0..2 {
                assert_eq!(ledger.search(0, 701, 1), None);
                assert_eq!(ledger.search(0, 700, 1), Some(run));
            }
            assert!(ledger.claim(run));
            assert_eq!(ledger.search(0, 1, 1), None);
        }
    }

    #[test]
    fn pages_far_apart_are_found_and_what_lies_between_is_not_there() {
        static METADATA: StaticMetadata<20> = StaticMetadata::new();
        let ledger = Ledger::new();
        for first in [1, 40, 100_000, 1_000_000] {
            ledger.prepare(PageRange::of(first, 2), &&METADATA).unwrap();
        }
        let far = Run::of_pages(PageRange::of(1_000_000, 2));
        ledger.unclaim(far);
        for _ in 0..2 {
            assert_eq!(ledger.search(0, 1025, 1), None);
            assert_eq!(ledger.search(0, 1024, 1), Some(far));
        }
        assert!(ledger.claim(far) && ledger.search(0, 2, 1).is_none());
    }

    #[test]
    fn full_nodes_are_noted_and_opened() {
        // One page more than a node has, so that the whole of one can be noted.
        let pages = PageRange::of(1, NODE_PAGES + GROUP_PAGES);
        static METADATA: StaticMetadata<520> = StaticMetadata::new();
        let ledger = Ledger::new();
        ledger.prepare(pages, &&METADATA).unwrap();
        let last = Run { first: pages.numbers().end * PAGE_GRANULES - 1, count: 1 };
        ledger.unclaim(last);
        assert_eq!(ledger.search(0, 1, 1), Some(last));
        assert!(ledger.is_noted_node(1));
        let first = Run { first: 5 * PAGE_GRANULES, count: 1 };
        ledger.unclaim(first);
        assert!(!ledger.is_noted_node(1));
        assert_eq!(ledger.search(0, 1, 1), Some(first));
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
