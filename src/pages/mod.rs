//! Page numbers: who may install into a slot, what waits to be freed, and where scratch may be.
//!
//! Three maps, one bit a page, in memory that the kernel lent: *claimed* (the exclusive right to install into the slot),
//! *deferred* (the queue of pages to be freed), *tainted* (the slot may hold the scratch page; a hint). A fourth, of 2 MiB
//! regions outside the leaf tables, says where the scratch table is linked. Nothing else is ever allocated to track pages, so
//! bookkeeping cannot run out. What is not here: the slots themselves; a bit never says what a page *is*.
//!
//! Orderings: a claim is Acquire and an un-claim Release, so whoever claims a page sees all that its last holder did (I5). A
//! mark or queue bit is set with Release and taken with Acquire, so whoever takes it sees the slot that it stands for.

use crate::sync::Ordering;

mod bitmap;
mod claim;
mod counted;
mod free_map;
mod geometry;
mod marks;
mod passing;
mod queue;
mod refused;
mod tainted;

pub(crate) use bitmap::{Bitmap, masks, ones, runs};
pub(crate) use claim::{Avoid, Nowhere, Taken};
pub(crate) use free_map::{
    BLOCK_WORDS, Blocks, Bound, FlatMap, FreeMap, Guess, Left, LeftBy, PairTest, Wanted, Words, lowest_within,
    mask_in_word,
};
pub(crate) use geometry::{MapGeometry, MapWords, REGIONS, TABLE_PAGES};
pub(crate) use marks::Marks;
pub(crate) use passing::{GivingBack, InPlace, Moment, Shootdowns};

use passing::Passing;
use queue::Queue;
use refused::Refused;
use tainted::Tainted;

/// The maps of an arena.
#[derive(Debug)]
pub(crate) struct PageMaps {
    geometry: MapGeometry,
    claimed: FreeMap<FlatMap>,
    pub(crate) passing: Passing,
    refused: Refused,
    pub(crate) deferred: Queue,
    pub(crate) tainted: Tainted,
}

impl PageMaps {
    /// The maps of an extent, over words that hold 0.
    pub(crate) fn new(geometry: MapGeometry, words: MapWords) -> Self {
        let claimed = FreeMap::new(words.claimed, geometry.bits as usize);
        // Numbers that round the extent out to whole tables are nobody's to claim. Nobody else has any yet.
        let end = geometry.first + geometry.count;
        for (first, count) in [(0, geometry.first), (end, geometry.bits - end)] {
            let claimed = claimed.claim(first, count);
            debug_assert!(claimed.is_ok());
        }
        Self {
            geometry,
            claimed,
            passing: Passing::new(),
            refused: Refused::none(),
            deferred: Queue::new(Marks::new(words.deferred, geometry.deferred_words())),
            tainted: Tainted::new(Marks::new(words.tainted, geometry.tainted_words()), Bitmap::new(words.regions)),
        }
    }

    /// The bit of a page of the extent's leaf tables.
    #[inline]
    pub(crate) const fn bit_of(&self, page: u32) -> u32 {
        page - self.geometry.origin
    }

    /// The page that a bit stands for.
    pub(crate) const fn page_of(&self, bit: u32) -> u32 {
        bit + self.geometry.origin
    }

    /// The bit, in `tainted`, of a slot of the upper guard's leaf table.
    #[inline]
    pub(crate) const fn guard_bit(&self, slot: u32) -> u32 {
        self.geometry.bits + slot
    }

    /// Where the guard's bits start in `tainted`.
    pub(crate) const fn guard_bits_start(&self) -> u32 {
        self.geometry.bits
    }

    /// Whether a bit stands for a page of the extent.
    #[inline]
    pub(crate) const fn in_extent(&self, bit: u32) -> bool {
        bit.wrapping_sub(self.geometry.first) < self.geometry.count
    }

    /// The bit of any page, if it is of the extent.
    #[inline]
    pub(crate) fn bit_in_extent(&self, page: u32) -> Option<u32> {
        Some(page.wrapping_sub(self.geometry.origin)).filter(|bit| self.in_extent(*bit))
    }

    /// Whether a page of the extent is claimed.
    pub(crate) fn is_claimed(&self, page: u32) -> bool {
        self.claimed.test(self.bit_of(page), Ordering::Acquire)
    }

    /// How many pages of the extent are claimed.
    pub(crate) fn claimed_count(&self) -> u32 {
        self.claimed.count() - (self.geometry.bits - self.geometry.count)
    }

    /// How many pages `reclaim` would bring back: those that are queued, and those that are marked and in nobody's hands.
    /// Of each, those in 64 words at most.
    #[inline]
    pub(crate) fn reclaimable(&self) -> (u32, u32) {
        // Most often there is nothing of either.
        if self.deferred.is_empty() && !self.tainted.any() { (0, 0) } else { self.count_reclaimable() }
    }

    #[cold]
    #[inline(never)]
    fn count_reclaimable(&self) -> (u32, u32) {
        let free = |word, marked: u64| (marked & !self.claimed.taken(word, Ordering::Relaxed)).count_ones();
        let queued = self.deferred.pages().counted(&|_, queued| queued.count_ones());
        (queued, self.tainted.pages().counted(&free))
    }
}
