//! Runs of granules.

use super::GRANULE_BYTES;
use super::record::PAGE_GRANULES;
use crate::addr::{ArenaPtr, PageRange};
use crate::pages::{mask_in_word, masks};

/// Consecutive granules, numbered from the window's first: at most 2^29.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Run {
    /// All granules of these pages.
    pub(super) const fn of_pages(pages: PageRange) -> Self {
        Self { first: pages.first().number() * PAGE_GRANULES, count: pages.count().get() * PAGE_GRANULES }
    }

    /// The granules of a block of `size` bytes; `None` for no bytes, and for more than lie behind `first` in the
    /// window.
    pub(super) fn sized(first: u32, size: usize) -> Option<Self> {
        let count = u32::try_from(size.div_ceil(GRANULE_BYTES as usize)).ok()?;
        let room = (u32::MAX / GRANULE_BYTES + 1).checked_sub(first)?;
        (count != 0 && count <= room).then_some(Self { first, count })
    }

    /// The granule after the last.
    pub(super) const fn end(self) -> u32 {
        self.first + self.count
    }

    /// The last granule, of a run that has one.
    pub(super) const fn last(self) -> u32 {
        self.end() - 1
    }

    /// Words of 64 granules, and which of each.
    pub(super) fn words(self) -> impl DoubleEndedIterator<Item = (u32, u64)> {
        masks(self.first, self.count)
    }

    /// Which granules of a word they are, if it is one word.
    #[inline]
    pub(super) const fn in_word(self) -> Option<u64> {
        mask_in_word(self.first, self.count)
    }

    /// The 32-bit pointer to its first byte.
    pub(super) const fn to_ptr(self) -> ArenaPtr {
        ArenaPtr::in_page(self.first * GRANULE_BYTES)
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_room_for_its_size_and_stays_in_the_window() {
        let granules = 1 << 29;
        assert_eq!(Run::sized(5, 1), Some(Run { first: 5, count: 1 }));
        assert_eq!(Run::sized(5, 8), Some(Run { first: 5, count: 1 }));
        assert_eq!(Run::sized(5, 9), Some(Run { first: 5, count: 2 }));
        assert_eq!(Run::sized(5, 0), None);
        assert_eq!(Run::sized(granules - 1, 8), Some(Run { first: granules - 1, count: 1 }));
        assert_eq!(Run::sized(granules - 1, 9), None);
        assert_eq!(Run::sized(512, usize::MAX), None);
    }
}
