//! The arena's page tables: built once, then only their words change.
//!
//! Four directories cover the window, one for each lent 1 GiB entry. Every leaf table that the extent touches is built at
//! creation, so neither an allocation nor a fault ever needs a table. Elsewhere in the window a directory entry is vacant
//! until a fault links the *scratch table* there, whose every slot holds the scratch page, and which never changes. The upper
//! guard has a leaf table of its own under the lent 2 MiB entry.
//!
//! What is not here: when a word may change, and to what. That is the business of the layers above.

use core::marker::PhantomData;

use crate::addr::PAGE_SHIFT;
use crate::arch::{Arch, TableReach};
use crate::layout::Sharing;
use crate::metadata::REGIONS;
use crate::platform::{EntryAttributes, Frame, Platform};
use crate::slot::SlotCodec;
use crate::sync::AtomicU64;

mod build;

pub(crate) use build::{NotVacant, UPPER_ENTRIES, upper_entries, zero_frame};

/// log2 of the 64-bit entries that a frame has room for.
const MAX_TABLE_SHIFT: u32 = PAGE_SHIFT - 3;

/// The frames that the tables are made of.
#[derive(Debug)]
pub(crate) struct Tables<A> {
    directories: [Frame; 4],
    guard: Frame,
    scratch_table: Frame,
    scratch_page: Frame,
    attributes: EntryAttributes,
    /// The pages of the leaf tables that the extent touches.
    built: core::ops::Range<u32>,
    format: PhantomData<fn() -> A>,
}

/// The words of a table.
///
/// # Safety
/// `table` was built by [`write_table`](build) and has not been given back.
unsafe fn words<A: Arch, P: Platform>(platform: &P, table: Frame) -> &[AtomicU64] {
    use crate::platform::PhysMap;
    let first = platform.phys_map().frame_to_ptr(table).cast::<AtomicU64>();
    // SAFETY: the physical map gives the frame's memory, in which the caller promises initialised atomics; the arena alone
    // writes it, through these atomics.
    unsafe { core::slice::from_raw_parts(first.as_ptr(), Tables::<A>::LEAF_PAGES as usize) }
}

impl<A: Arch> Tables<A> {
    /// Pages of a leaf table. Whoever uses a table uses this, so a format whose tables do not fit does not compile.
    pub(crate) const LEAF_PAGES: u32 = {
        assert!(A::TABLE_SHIFT <= MAX_TABLE_SHIFT, "Arch::TABLE_SHIFT: a table would be larger than its frame");
        assert!(4 << A::TABLE_SHIFT <= REGIONS, "Arch::TABLE_SHIFT: the map of regions has no room for so many");
        1 << A::TABLE_SHIFT
    };
    /// Pages that the four directories cover: the window, unless a model's tables are smaller.
    pub(crate) const COVERED_PAGES: u32 = 4 << (2 * A::TABLE_SHIFT);

    /// The codec for the words of these tables.
    pub(crate) fn codec(&self, sharing: Sharing) -> SlotCodec<A> {
        SlotCodec::new(self.attributes, self.scratch_page, sharing)
    }

    /// The scratch page.
    pub(crate) const fn scratch_page(&self) -> Frame {
        self.scratch_page
    }

    /// The pages of the leaf tables that the extent touches.
    #[inline]
    pub(crate) fn built(&self) -> core::ops::Range<u32> {
        self.built.clone()
    }

    /// The word of a directory entry that links the scratch table.
    pub(crate) fn scratch_link(&self) -> u64 {
        A::table(self.scratch_table, TableReach::Open, self.attributes)
    }

    /// Whether a directory entry's word links the scratch table, whatever else somebody has set in it.
    pub(crate) fn is_scratch_link(&self, word: u64) -> bool {
        A::decode_table(word, self.attributes) == Some(self.scratch_table)
    }

    /// The leaf table that has a page, one of the extent's, and the page's number: `None` for any other number.
    #[inline(always)]
    fn leaf_of<P: Platform>(&self, platform: &P, page: u64) -> Option<(Frame, u32)> {
        let offset = page.wrapping_sub(u64::from(self.built.start));
        if offset >= u64::from(self.built.end - self.built.start) {
            return None;
        }
        let page = (page & 0xffff_ffff) as u32;
        let table = A::decode_table(A::load(self.directory_entry(platform, page)?), self.attributes)?;
        Some((table, page))
    }

    /// The slot of a page of the extent's leaf tables, and its number: `None` for any other number.
    #[inline]
    pub(crate) fn built_slot<'a, P: Platform>(&self, platform: &'a P, page: u64) -> Option<(&'a AtomicU64, u32)> {
        let (table, page) = self.leaf_of(platform, page)?;
        // SAFETY: the directory entries of the extent point to the leaf tables built for it, from creation on until the
        // tables are released.
        let slots = unsafe { words::<A, P>(platform, table) };
        slots.get((page & (Self::LEAF_PAGES - 1)) as usize).map(|slot| (slot, page))
    }

    /// The slots from a page's on that are in the same table, `most` of them at most: at least one, unless the page is not of
    /// the extent's leaf tables.
    #[inline]
    pub(crate) fn slots_from<'a, P: Platform>(&self, platform: &'a P, page: u32, most: u32) -> &'a [AtomicU64] {
        let Some((table, page)) = self.leaf_of(platform, page.into()) else { return &[] };
        // SAFETY: as for `built_slot`.
        let slots = unsafe { words::<A, P>(platform, table) };
        let slots = slots.get((page & (Self::LEAF_PAGES - 1)) as usize..).unwrap_or_default();
        slots.get(..most as usize).unwrap_or(slots)
    }

    /// The slot of a page of the extent's leaf tables.
    #[inline]
    pub(crate) fn slot<'a, P: Platform>(&self, platform: &'a P, page: u32) -> Option<&'a AtomicU64> {
        self.built_slot(platform, page.into()).map(|(slot, _)| slot)
    }

    /// The directory entry of the region of a page that none of those tables has, and its number; `None` beyond what a
    /// model's tables cover.
    pub(crate) fn region_of<'a, P: Platform>(&self, platform: &'a P, page: u32) -> Option<(&'a AtomicU64, u32)> {
        Some((self.directory_entry(platform, page)?, page >> A::TABLE_SHIFT))
    }

    /// The directory entry of a region, by number.
    pub(crate) fn region_entry<'a, P: Platform>(&self, platform: &'a P, region: u32) -> Option<&'a AtomicU64> {
        self.directory_entry(platform, region.checked_mul(Self::LEAF_PAGES)?)
    }

    /// A slot of the upper guard's leaf table.
    pub(crate) fn guard_slot<'a, P: Platform>(&self, platform: &'a P, slot: u32) -> Option<&'a AtomicU64> {
        // SAFETY: the guard's table was built at creation and is given back only with all others.
        unsafe { words::<A, P>(platform, self.guard) }.get(slot as usize)
    }

    #[inline]
    fn directory_entry<'a, P: Platform>(&self, platform: &'a P, page: u32) -> Option<&'a AtomicU64> {
        let directory = *self.directories.get((page >> (2 * A::TABLE_SHIFT)) as usize)?;
        // SAFETY: the directories were built at creation and are given back only with all others.
        let entries = unsafe { words::<A, P>(platform, directory) };
        entries.get((page >> A::TABLE_SHIFT & (Self::LEAF_PAGES - 1)) as usize)
    }

    /// What the lent entries hold while the window is linked: four for the window, one for the guard.
    pub(crate) fn upper_words(&self) -> [u64; UPPER_ENTRIES] {
        let [d0, d1, d2, d3] = self.directories;
        [d0, d1, d2, d3, self.guard].map(|table| A::table(table, TableReach::KernelView, self.attributes))
    }

    /// What a view's four entries hold while it is linked: the window's directories.
    pub(crate) fn view_words(&self, reach: TableReach) -> [u64; 4] {
        self.directories.map(|table| A::table(table, reach, self.attributes))
    }

    /// Whether a lent entry's word leads to this quarter of the window, whatever else somebody has set in it.
    pub(crate) fn is_directory_link(&self, quarter: usize, word: u64) -> bool {
        let directory = self.directories.get(quarter);
        directory.is_some() && A::decode_table(word, self.attributes).as_ref() == directory
    }

    /// Whether a directory entry's word points to a leaf table of the extent.
    pub(crate) fn is_leaf_link(&self, word: u64) -> bool {
        A::decode_table(word, self.attributes).is_some_and(|table| {
            let others = [self.guard, self.scratch_table, self.scratch_page];
            !others.contains(&table) && A::table(table, TableReach::Open, self.attributes) == word
        })
    }

    /// How many frames the tables and the scratch page take.
    pub(crate) fn frame_count(&self) -> u32 {
        let leaves = (self.built.end - self.built.start) >> A::TABLE_SHIFT;
        4 + leaves + 3
    }
}

/// A table of 2^9 entries fills its frame:
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// use kernel_arena::{Arena, arch::portable::Portable};
/// let _: fn(Arena<kernel::MyKernel, Portable<9>>) = |arena| drop(arena.destroy());
/// ```
/// One of 2^10 would be written beyond it, so an arena that has such does not compile:
/// ```compile_fail
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// use kernel_arena::{Arena, arch::portable::Portable};
/// let _: fn(Arena<kernel::MyKernel, Portable<10>>) = |arena| drop(arena.destroy());
/// ```
#[cfg(doctest)]
struct TablesFitTheirFrames;
