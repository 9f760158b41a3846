//! A page of the pool's, looked up once for all that an operation does there.
//!
//! Most blocks lie within one word of granules: what concerns such a run is said here without a loop, and without asking
//! where the page's record is again.

use super::chunk;
use super::ledger::Ledger;
use super::record::{Bit, Group, PAGE_GRANULES, PAGE_WORDS, PageRecord};
use super::run::Run;
use crate::addr::PageRange;
use crate::pages::{Bound, FreeMap, Wanted, lowest_within};
use crate::sync::Ordering;

/// A page that has a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    ledger: &'a Ledger,
    number: u32,
    group: &'a Group,
    slot: u32,
    record: &'a PageRecord,
}

impl Ledger {
    /// The page of a granule.
    #[inline]
    pub(super) fn page_of(&self, granule: u32) -> Option<Page<'_>> {
        self.page(granule / PAGE_GRANULES)
    }

    /// The page with this number.
    #[inline]
    pub(super) fn page(&self, number: u32) -> Option<Page<'_>> {
        let (group, slot) = self.group(number)?;
        Some(Page { ledger: self, number, group, slot, record: group.pages.get(slot as usize)? })
    }

    /// The first page that is not noted as full.
    #[inline]
    pub(super) fn first_open(&self) -> Option<Page<'_>> {
        self.page(self.next_open_page(0))
    }
}

impl<'a> Page<'a> {
    /// The lowest run that lies within the page.
    #[inline]
    pub(super) fn search(self, count: u32, align: u32) -> Option<Run> {
        let wanted = Wanted { count, align, origin: 0 };
        lowest_within(&self.record.taken, self.number * PAGE_GRANULES, wanted).map(|first| Run { first, count })
    }

    /// Takes all granules of a run that begins here, or none.
    #[inline]
    pub(super) fn claim(self, run: Run) -> bool {
        match run.in_word() {
            Some(mask) => FreeMap(self.ledger).claim_in(self.number, self.granules(run.first).word, mask).is_ok(),
            None => self.ledger.claim(run),
        }
    }

    /// Gives up granules, from one of this page on, that the caller has. Release: their next holder sees all that was done
    /// with them.
    #[inline]
    pub(super) fn unclaim(self, run: Run) {
        match run.in_word() {
            Some(mask) => {
                let bound = self.group.bounds.get(self.slot as usize / 2);
                let bound = bound.map(|pair| Bound { pair, half: self.slot % 2 });
                FreeMap(self.ledger).unclaim_in(self.number, (self.granules(run.first).word, bound), mask);
            }
            None => self.ledger.unclaim(run),
        }
    }

    /// Whether nothing is used, as far as can be seen, in the word of a granule of the page.
    #[inline]
    pub(super) fn is_free_around(self, granule: u32) -> bool {
        self.granules(granule).word.load(Ordering::Relaxed) == 0
    }

    /// The *taken* bit of a granule of the page.
    #[inline]
    fn granules(self, granule: u32) -> Bit<'a> {
        Bit { word: &self.record.taken[(granule / 64 % PAGE_WORDS) as usize], bit: 1 << (granule % 64) }
    }

    #[inline]
    pub(super) const fn ledger(self) -> &'a Ledger {
        self.ledger
    }

    /// The start bit of a granule of the page.
    #[inline]
    pub(super) fn start(self, granule: u32) -> Bit<'a> {
        self.record.start(granule)
    }

    /// The end bit of a block that begins here.
    #[inline]
    pub(super) fn end(self, last: u32) -> Option<Bit<'a>> {
        let number = last / PAGE_GRANULES;
        let record = if number == self.number { self.record } else { self.ledger.record(number)? };
        Some(record.end(last))
    }

    /// The chunk that the page belongs to; what that is worth stands at [`Ledger::chunk_of`].
    #[inline]
    pub(super) fn chunk(self) -> Option<PageRange> {
        chunk::from_word(self.group.chunks.get(self.slot as usize)?.load(Ordering::Relaxed))
    }
}
