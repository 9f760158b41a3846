//! Page numbers in an operation's hands: the exclusive right to install into their slots, as a value.
//!
//! A number is claimed by setting its bit, or won back by taking its slot from its owner (S4, S6). Either way a [`Claimed`]
//! stands for it, and it ends in one of three ways: it is dropped, which un-claims the numbers; it is *handed out*, because
//! the slots now say whose the pages are; or it is *owed* to a [`Batch`](super::batch::Batch), which un-claims after the
//! shootdown and after the frames went back (I5). Nothing else un-claims. (One page that is allocated or freed alone goes
//! without, but for what may unwind: in a free what is lost is what a batch loses.)
//!
//! What unwinds in the middle gives up what no slot stands for yet, and no more: pages are handed out one by one.

use core::mem;

use crate::addr::PageRange;
use crate::pages::PageMaps;

/// Claimed numbers: un-claimed when dropped. Holding one proves that nobody else installs into the slots.
#[derive(Debug)]
#[must_use = "dropping it un-claims the pages"]
pub(in crate::arena) struct Claimed<'a> {
    maps: &'a PageMaps,
    pages: PageRange,
}

impl<'a> Claimed<'a> {
    /// Numbers that the caller has claimed in `maps`, or whose slots it has just taken from their owner.
    pub(in crate::arena) const fn new(maps: &'a PageMaps, pages: PageRange) -> Self {
        Self { maps, pages }
    }

    /// Which they are.
    pub(in crate::arena) const fn pages(&self) -> PageRange {
        self.pages
    }

    /// Hands the first page out: its slot says from now on whose it is.
    pub(in crate::arena) const fn hand_out_first(&mut self) {
        let (first, count) = (self.pages.first().number(), self.pages.count().get());
        self.pages = PageRange::of(first + 1, count.saturating_sub(1));
    }

    /// Passes the duty to un-claim to a batch.
    pub(in crate::arena) const fn owe(self) -> PageRange {
        let pages = self.pages;
        mem::forget(self);
        pages
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if !self.pages.is_empty() {
            let _giving_back = self.maps.giving_back(self.pages);
            self.maps.unclaim(self.pages);
        }
    }
}
