//! The memory that the kernel lends for bookkeeping, and who gets which part of it.
//!
//! All of it is 64-bit atomic words, built in place once. The sizes follow from the extent and the number of CPUs alone, so
//! a kernel can set the memory aside in a `static`; each part starts on lines of its own, so that no two parts share what two
//! CPUs would fight for.

use core::mem::MaybeUninit;

use crate::addr::PageRange;
use crate::cpus::Cpus;
use crate::pages::{FlatMap, Marks};
use crate::platform::CpuCount;
use crate::sync::{self, AtomicU64};
use crate::violations::RING_WORDS;

/// A word of the metadata that the kernel lends to an arena.
pub type MetadataWord = AtomicU64;

/// Pages of a leaf table: the maps are rounded out to whole ones. A model's tables are smaller than a word of a map.
pub(crate) const TABLE_PAGES: u32 = if cfg!(kernel_arena_loom) { 64 } else { 512 };
/// 2 MiB regions of the window; a model's tables cover fewer.
pub(crate) const REGIONS: u32 = if cfg!(kernel_arena_loom) { 64 } else { 2048 };
/// Words of 128 bytes: two cache lines, which prefetchers fetch as one.
const LINE_WORDS: usize = 16;

/// The sizes of an arena's maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MapGeometry {
    /// The page that bit 0 stands for: the extent's first, rounded down to a leaf table.
    pub(crate) origin: u32,
    /// Bits of the extent, rounded out to leaf tables.
    pub(crate) bits: u32,
    /// The extent's first page, in bits.
    pub(crate) first: u32,
    /// The extent's length.
    pub(crate) count: u32,
    cpus: u32,
    views: u8,
}

/// The lent words, each part for its own user, all zero.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Bits of the extent, and what says where to look.
    pub(crate) claimed: &'static [AtomicU64],
    pub(crate) deferred: &'static [AtomicU64],
    /// Bits of the extent, then those of the guard's leaf table.
    pub(crate) tainted: &'static [AtomicU64],
    pub(crate) regions: &'static [AtomicU64],
    /// What is kept of each CPU.
    pub(crate) cpus: Cpus,
    pub(crate) violations: &'static [AtomicU64; RING_WORDS],
    /// A word for each view that can be attached.
    pub(crate) views: &'static [AtomicU64],
    /// A word for each leaf table.
    pub(crate) leaves: &'static [AtomicU64],
}

impl MapGeometry {
    pub(crate) const fn of(extent: PageRange, cpus: CpuCount, views: u8) -> Self {
        let first_page = extent.first().number();
        let count = extent.count().get();
        let origin = first_page / TABLE_PAGES * TABLE_PAGES;
        let first = first_page - origin;
        let bits = (first + count).next_multiple_of(TABLE_PAGES);
        Self { origin, bits, first, count, cpus: cpus.get(), views }
    }

    /// Words of each part, in the order of [`Parts`].
    const fn parts(&self) -> [usize; 8] {
        let claimed = FlatMap::words_for(self.bits as usize);
        let (deferred, tainted) = (Marks::words_for(self.deferred_words()), Marks::words_for(self.tainted_words()));
        let (regions, cpus, views) = (REGIONS as usize / 64, self.cpus as usize, self.views as usize);
        let leaves = (self.bits / TABLE_PAGES) as usize;
        [claimed, deferred, tainted, regions, Cpus::words_for(cpus), RING_WORDS, views, leaves]
    }

    /// Words with a bit for each page that may be deferred.
    pub(crate) const fn deferred_words(&self) -> usize {
        self.bits as usize / 64
    }

    /// Words with a bit for each slot that may hold the scratch page: the extent's, then those of the guard's leaf table.
    pub(crate) const fn tainted_words(&self) -> usize {
        (self.bits + TABLE_PAGES) as usize / 64
    }

    /// Words of all parts, and what aligning the first may cost.
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

    /// Builds all parts in `words`; `None` if there are fewer than [`total_words`](Self::total_words).
    pub(crate) fn carve(&self, words: &'static mut [MaybeUninit<AtomicU64>]) -> Option<Parts> {
        if words.len() < self.total_words() {
            return None;
        }
        // A model's atomic may have a size that no number of makes a line; then lines do not matter either.
        let skip = words.as_ptr().cast::<u8>().align_offset(LINE_WORDS * 8) / size_of::<AtomicU64>();
        let mut rest = words.split_at_mut(skip.min(LINE_WORDS - 1)).1;
        let [claimed, deferred, tainted, regions, cpus, violations, views, leaves] =
            self.parts().map(|words| next_part(&mut rest, words));
        let (cpus, violations) = (Cpus::new(cpus)?, violations.try_into().ok()?);
        Some(Parts { claimed, deferred, tainted, regions, cpus, violations, views, leaves })
    }
}

/// Builds the next part, of so many words, and leaves what comes after its last line.
#[inline(never)]
fn next_part(rest: &mut &'static mut [MaybeUninit<AtomicU64>], words: usize) -> &'static [AtomicU64] {
    let (part, after) = core::mem::take(rest).split_at_mut(words.next_multiple_of(LINE_WORDS));
    *rest = after;
    sync::write_words(part.split_at_mut(words).0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::CpuId;
    use crate::{PageCount, PageIndex};

    #[test]
    fn parts_start_on_lines_of_their_own_wherever_the_memory_starts() {
        let extent = PageRange::new(PageIndex::new(1).unwrap(), PageCount::new(700).unwrap()).unwrap();
        let geometry = MapGeometry::of(extent, CpuCount::new(3).unwrap(), 2);
        for shift in 0..LINE_WORDS {
            let words: Vec<_> = (0..geometry.total_words() + shift).map(|_| MaybeUninit::uninit()).collect();
            let parts = geometry.carve(&mut words.leak()[shift..]).unwrap();
            let starts = [parts.claimed, parts.deferred, parts.tainted, parts.regions];
            for part in starts.into_iter().chain([&parts.violations[..], parts.views, parts.leaves]) {
                assert_eq!(part.as_ptr().addr() % 128, 0);
            }
            assert_eq!(core::ptr::from_ref(parts.cpus.of(Some(CpuId::new(0)))).addr() % 128, 0);
            assert!(parts.cpus.named(Some(CpuId::new(2))).is_some() && parts.cpus.named(Some(CpuId::new(3))).is_none());
            assert_eq!((parts.claimed.len(), parts.tainted.len()), (18, 24));
            assert_eq!((parts.views.len(), parts.leaves.len()), (2, 2));
        }
        let short: Vec<_> = (1..geometry.total_words()).map(|_| MaybeUninit::uninit()).collect();
        assert!(geometry.carve(short.leak()).is_none());
    }
}
