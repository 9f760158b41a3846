//! Page numbers: who may install into a slot, what waits to be freed, and where scratch may be.
//!
//! Three bitmaps, one bit a page, in memory that the kernel lent: *claimed* (the exclusive right to install into the slot),
//! *deferred* (the queue of pages to be freed), *tainted* (the slot may hold the scratch page; a hint). A fourth, of 2 MiB
//! regions outside the leaf tables, says where the scratch table is linked. Nothing else is ever allocated to track pages, so
//! bookkeeping cannot run out. What is not here: the slots themselves; a bit never says what a page *is*.
//!
//! Orderings: a claim is Acquire and an un-claim Release, so whoever claims a page sees all that its last holder did (I5). A
//! mark or queue bit is set with Release and taken with Acquire, so whoever takes it sees the slot that it stands for.

use core::mem::MaybeUninit;

use crate::addr::PageRange;
use crate::layout::ArenaLayout;
use crate::sync::{self, AtomicU64, Ordering};
use crate::violations::RING_WORDS;

mod bitmap;
mod claim;
mod search;

pub(crate) use bitmap::{Bitmap, masks, ones};
pub(crate) use claim::{Avoid, ClaimError};

/// Pages of a leaf table: the maps are rounded out to whole ones.
const TABLE_PAGES: u32 = 512;
/// 2 MiB regions of the window.
pub(crate) const REGIONS: u32 = 2048;
/// Words of 128 bytes, so that no two maps share what two CPUs would fight for.
const LINE_WORDS: usize = 16;

/// The sizes of the maps of an arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapGeometry {
    /// The page that bit 0 stands for: the extent's first, rounded down to a leaf table.
    origin: u32,
    /// Bits of the extent, rounded out to leaf tables. The guard's bits follow in `tainted`.
    bits: u32,
    /// The extent, in bits.
    first: u32,
    count: u32,
    cpus: u32,
}

impl MapGeometry {
    pub(crate) const fn of(layout: &ArenaLayout) -> Self {
        let first_page = layout.extent().first().number();
        let count = layout.extent().count().get();
        let origin = first_page / TABLE_PAGES * TABLE_PAGES;
        let first = first_page - origin;
        Self { origin, bits: (first + count).next_multiple_of(TABLE_PAGES), first, count, cpus: layout.cpus().get() }
    }

    const fn map_words(&self) -> usize {
        self.bits as usize / 64
    }

    /// Words of each part, in their order in memory.
    const fn parts(&self) -> [usize; 7] {
        let map = self.map_words();
        let guard = TABLE_PAGES as usize / 64;
        [map, map, map + guard, REGIONS as usize / 64, map.div_ceil(64), self.cpus as usize + 1, RING_WORDS]
    }

    /// Words of all parts, each on lines of its own, and what aligning the first may cost.
    pub(crate) const fn total_words(&self) -> usize {
        let parts = self.parts();
        let mut total = LINE_WORDS - 1;
        let mut part = 0;
        while part < parts.len() {
            total += parts[part].next_multiple_of(LINE_WORDS);
            part += 1;
        }
        total
    }
}

/// The maps of an arena.
#[derive(Debug)]
pub(crate) struct PageMaps {
    geometry: MapGeometry,
    claimed: Bitmap,
    /// One bit a word of `claimed`: no bit of it is clear. A hint.
    full: Bitmap,
    pub(crate) deferred: Bitmap,
    pub(crate) tainted: Bitmap,
    pub(crate) regions: Bitmap,
}

/// The parts of the metadata that are not maps of pages.
#[derive(Debug)]
pub(crate) struct OtherWords {
    /// A word for each CPU, and one for those that are not known.
    pub(crate) fault_rows: &'static [AtomicU64],
    pub(crate) violations: &'static [AtomicU64; RING_WORDS],
}

impl PageMaps {
    /// Builds the maps in `metadata`; `None` if it has fewer words than the layout asks for.
    pub(crate) fn new(
        layout: &ArenaLayout,
        metadata: &'static mut [MaybeUninit<AtomicU64>],
    ) -> Option<(Self, OtherWords)> {
        let geometry = MapGeometry::of(layout);
        if metadata.len() < geometry.total_words() {
            return None;
        }
        // A model's atomic may have a size that no number of makes a line; then lines do not matter either.
        let skip = metadata.as_ptr().cast::<u8>().align_offset(LINE_WORDS * 8) / size_of::<AtomicU64>();
        let mut rest = metadata.split_at_mut(skip.min(LINE_WORDS - 1)).1;
        let [claimed, deferred, tainted, regions, full, fault_rows, violations] = geometry.parts().map(|words| {
            let (part, after) = core::mem::take(&mut rest).split_at_mut(words.next_multiple_of(LINE_WORDS));
            rest = after;
            &*sync::write_words(part.split_at_mut(words).0, 0)
        });
        let maps = Self {
            geometry,
            claimed: Bitmap::new(claimed),
            full: Bitmap::new(full),
            deferred: Bitmap::new(deferred),
            tainted: Bitmap::new(tainted),
            regions: Bitmap::new(regions),
        };
        // Numbers that round the extent out to whole tables are nobody's to claim.
        maps.claimed.set_range(0, geometry.first);
        let end = geometry.first + geometry.count;
        maps.claimed.set_range(end, geometry.bits - end);
        Some((maps, OtherWords { fault_rows, violations: violations.try_into().ok()? }))
    }

    /// The bit of a page of the extent's leaf tables.
    pub(crate) const fn bit_of(&self, page: u32) -> u32 {
        page - self.geometry.origin
    }

    /// The page that a bit stands for.
    pub(crate) const fn page_of(&self, bit: u32) -> u32 {
        bit + self.geometry.origin
    }

    /// The bit, in `tainted`, of a slot of the upper guard's leaf table.
    pub(crate) const fn guard_bit(&self, slot: u32) -> u32 {
        self.geometry.bits + slot
    }

    /// Where the guard's bits start in `tainted`.
    pub(crate) const fn guard_bits_start(&self) -> u32 {
        self.geometry.bits
    }

    /// Whether a bit stands for a page of the extent.
    pub(crate) const fn in_extent(&self, bit: u32) -> bool {
        bit >= self.geometry.first && bit - self.geometry.first < self.geometry.count
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
    pub(crate) fn reclaimable(&self) -> (u32, u32) {
        let tainted = (0..self.claimed.word_count()).map(|word| {
            let marked = self.tainted.word(word, Ordering::Relaxed);
            (marked & !self.claimed.word(word, Ordering::Relaxed)).count_ones()
        });
        (self.deferred.count(), tainted.sum())
    }

    /// The extent, as a range of bits.
    const fn extent_bits(&self) -> PageRange {
        PageRange::of(self.geometry.first, self.geometry.count)
    }
}
