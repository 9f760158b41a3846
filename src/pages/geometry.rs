//! How large the maps are, and the words that they stand on.

use super::{FlatMap, Marks};
use crate::addr::PageRange;
use crate::sync::AtomicU64;

/// Pages of a leaf table: the maps are rounded out to whole ones. A model's tables are smaller than a word of a map.
pub(crate) const TABLE_PAGES: u32 = if cfg!(kernel_arena_loom) { 64 } else { 512 };
/// 2 MiB regions of the window; a model's tables cover fewer.
pub(crate) const REGIONS: u32 = if cfg!(kernel_arena_loom) { 64 } else { 2048 };
/// The sizes of an arena's maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapGeometry {
    /// The page that bit 0 stands for: the extent's first, rounded down to a leaf table.
    pub(super) origin: u32,
    /// Bits of the extent, rounded out to leaf tables.
    pub(super) bits: u32,
    /// The extent's first page, in bits.
    pub(super) first: u32,
    /// The extent's length.
    pub(super) count: u32,
}

/// The words of the maps, all zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapWords {
    /// Bits of the extent, and what says where to look.
    pub(crate) claimed: &'static [AtomicU64],
    pub(crate) deferred: &'static [AtomicU64],
    /// Bits of the extent, then those of the guard's leaf table.
    pub(crate) tainted: &'static [AtomicU64],
    pub(crate) regions: &'static [AtomicU64],
}

impl MapGeometry {
    pub(crate) const fn of(extent: PageRange) -> Self {
        let first_page = extent.first().number();
        let count = extent.count().get();
        let origin = first_page / TABLE_PAGES * TABLE_PAGES;
        let first = first_page - origin;
        let bits = (first + count).next_multiple_of(TABLE_PAGES);
        Self { origin, bits, first, count }
    }

    /// How many there are of each of [`MapWords`].
    pub(crate) const fn words(&self) -> [usize; 4] {
        let (deferred, tainted) = (Marks::words_for(self.deferred_words()), Marks::words_for(self.tainted_words()));
        [FlatMap::words_for(self.bits as usize), deferred, tainted, REGIONS as usize / 64]
    }

    /// How many leaf tables the maps are for.
    pub(crate) const fn leaf_tables(&self) -> u32 {
        self.bits / TABLE_PAGES
    }

    /// Words with a bit for each page that may be deferred.
    pub(super) const fn deferred_words(&self) -> usize {
        self.bits as usize / 64
    }

    /// Words with a bit for each slot that may hold the scratch page: the extent's, then those of the guard's leaf table.
    pub(super) const fn tainted_words(&self) -> usize {
        (self.bits + TABLE_PAGES) as usize / 64
    }
}
