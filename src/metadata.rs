//! The memory that the kernel lends for bookkeeping, and who gets which part of it.
//!
//! All of it is 64-bit atomic words, built in place once. The sizes follow from the extent and the number of CPUs alone, so
//! a kernel can set the memory aside in a `static`; each part starts on lines of its own, so that no two parts share what two
//! CPUs would fight for.

use core::mem::MaybeUninit;

use crate::addr::PageRange;
use crate::cpus::Cpus;
use crate::pages::{MapGeometry, MapWords};
use crate::platform::CpuCount;
use crate::sync::{self, AtomicU64};
use crate::violations::RING_WORDS;

/// A word of the metadata that the kernel lends to an arena.
pub type MetadataWord = AtomicU64;

/// Words of 128 bytes: two cache lines, which prefetchers fetch as one.
const LINE_WORDS: usize = 16;

/// How the lent memory is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetadataLayout {
    maps: MapGeometry,
    cpus: u32,
    views: u8,
}

/// The lent words, each part for its own user, all zero.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) maps: MapWords,
    /// What is kept of each CPU.
    pub(crate) cpus: Cpus,
    pub(crate) violations: &'static [AtomicU64; RING_WORDS],
    /// A word for each view that can be attached.
    pub(crate) views: &'static [AtomicU64],
    /// A word for each leaf table.
    pub(crate) leaves: &'static [AtomicU64],
}

impl MetadataLayout {
    pub(crate) const fn of(extent: PageRange, cpus: CpuCount, views: u8) -> Self {
        Self { maps: MapGeometry::of(extent), cpus: cpus.get(), views }
    }

    /// Words of each part: of the maps, then in the order of [`Parts`].
    const fn parts(&self) -> [usize; 8] {
        let [claimed, deferred, tainted, regions] = self.maps.words();
        let leaves = self.maps.leaf_tables() as usize;
        let (cpus, views) = (Cpus::words_for(self.cpus as usize), self.views as usize);
        [claimed, deferred, tainted, regions, cpus, RING_WORDS, views, leaves]
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
        let maps = MapWords { claimed, deferred, tainted, regions };
        Some(Parts { maps, cpus, violations, views, leaves })
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
        let layout = MetadataLayout::of(extent, CpuCount::new(3).unwrap(), 2);
        for shift in 0..LINE_WORDS {
            let words: Vec<_> = (0..layout.total_words() + shift).map(|_| MaybeUninit::uninit()).collect();
            let parts = layout.carve(&mut words.leak()[shift..]).unwrap();
            let maps = parts.maps;
            let starts = [maps.claimed, maps.deferred, maps.tainted, maps.regions];
            for part in starts.into_iter().chain([&parts.violations[..], parts.views, parts.leaves]) {
                assert_eq!(part.as_ptr().addr() % 128, 0);
            }
            assert_eq!(core::ptr::from_ref(parts.cpus.of(Some(CpuId::new(0)))).addr() % 128, 0);
            assert!(parts.cpus.named(Some(CpuId::new(2))).is_some() && parts.cpus.named(Some(CpuId::new(3))).is_none());
            assert_eq!((maps.claimed.len(), maps.tainted.len()), (18, 24));
            assert_eq!((parts.views.len(), parts.leaves.len()), (2, 2));
        }
        let short: Vec<_> = (1..layout.total_words()).map(|_| MaybeUninit::uninit()).collect();
        assert!(layout.carve(short.leak()).is_none());
    }
}
