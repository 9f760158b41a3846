//! The arena's page tables: built once, then only their words change.
//!
//! Four directories cover the window, one for each lent 1 GiB entry. Every leaf table that the extent touches is built at
//! creation, so neither an allocation nor a fault ever needs a table. Elsewhere in the window a directory entry is vacant
//! until a fault links the *scratch table* there, whose every slot holds the scratch page, and which never changes. The upper
//! guard has a leaf table of its own under the lent 2 MiB entry.
//!
//! What is not here: when a word may change, and to what. That is the business of the layers above.

use core::marker::PhantomData;

use crate::addr::{KernelAddr, PAGE_SHIFT};
use crate::arch::{Arch, TableReach};
use crate::layout::Sharing;
use crate::pages::{REGIONS, TABLE_PAGES};
use crate::platform::{EntryAttributes, Frame, PhysMap, Platform};
use crate::slot::SlotCodec;
use crate::sync::{AtomicU64, Ordering};

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
    /// The address of the first page of `built`, in the kernel view.
    start: u64,
    /// The pages of the leaf tables that the extent touches.
    built: core::ops::Range<u32>,
    /// The frame of each of these tables, by its address: written while they are built, and no more. So a slot is found without a
    /// look at the directories, whatever somebody else writes there.
    leaves: &'static [AtomicU64],
    format: PhantomData<fn() -> A>,
}

/// The words of a table.
///
/// # Safety
/// `table` was built by [`write_table`](build) and has not been given back.
unsafe fn words<A: Arch, P: Platform>(platform: &P, table: Frame) -> &[AtomicU64] {
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

    fn built_pages(&self) -> u32 {
        self.built.end - self.built.start
    }

    /// The word of a directory entry that links the scratch table.
    pub(crate) fn scratch_link(&self) -> u64 {
        A::table(self.scratch_table, TableReach::Open, self.attributes)
    }

    /// Whether a directory entry's word links the scratch table, whatever else somebody has set in it.
    pub(crate) fn is_scratch_link(&self, word: u64) -> bool {
        A::decode_table(word, self.attributes) == Some(self.scratch_table)
    }

    /// Whether `leaves` has a word for each leaf table. Of a model's smaller tables there are too many; they are found by the
    /// directories.
    const LEAVES_ARE_KNOWN: bool = Self::LEAF_PAGES == TABLE_PAGES;

    /// Whether pages have the same numbers among these tables' as bits in the maps. (A model's smaller tables may begin beyond
    /// where the maps do.)
    pub(crate) const BITS_ARE_NUMBERS: bool = Self::LEAF_PAGES == TABLE_PAGES;

    /// The slot of a page of the extent's leaf tables, by its number among them: `None` for any other number. It and those after
    /// it in its table are atomics that are there until the tables are released.
    #[inline(always)]
    fn find<P: Platform>(&self, platform: &P, number: u64) -> Option<*const AtomicU64> {
        let table = if Self::LEAVES_ARE_KNOWN {
            // Relaxed: written before anybody else had the arena.
            Frame::again(self.leaves.get(to_usize(number >> A::TABLE_SHIFT))?.load(Ordering::Relaxed))
        } else {
            let number = u32::try_from(number).ok().filter(|number| *number < self.built_pages())?;
            let entry = self.directory_entry(platform, self.built.start + number)?;
            A::decode_table(A::load(entry), self.attributes)?
        };
        let first = platform.phys_map().frame_to_ptr(table).cast::<AtomicU64>().as_ptr().cast_const();
        // SAFETY: the leaf tables were built for the extent, each of so many words.
        Some(unsafe { first.add(to_usize(number & u64::from(Self::LEAF_PAGES - 1))) })
    }

    /// The slot of a page of the extent's leaf tables, by its number among them: `None` for any other number.
    #[inline(always)]
    pub(crate) fn numbered_slot<'a, P: Platform>(&self, platform: &'a P, number: u64) -> Option<&'a AtomicU64> {
        let slot = self.find(platform, number)?;
        // SAFETY: it is one, and only ever accessed atomically.
        Some(unsafe { &*slot })
    }

    /// The number, among the pages of the extent's leaf tables, of the page with this address: one too high for any other address.
    #[inline(always)]
    pub(crate) fn number_of(&self, address: KernelAddr) -> u64 {
        address.value().wrapping_sub(self.start) >> PAGE_SHIFT
    }

    /// The slots from a page's on that are in the same table, `most` of them at most: at least one, unless the page is not of
    /// the extent's leaf tables.
    #[inline]
    pub(crate) fn slots_from<'a, P: Platform>(&self, platform: &'a P, page: u32, most: u32) -> &'a [AtomicU64] {
        let Some(first) = self.find(platform, page.wrapping_sub(self.built.start).into()) else { return &[] };
        let left = Self::LEAF_PAGES - (page & (Self::LEAF_PAGES - 1));
        // SAFETY: a table has so many slots from this one on, and they are only ever accessed atomically.
        unsafe { core::slice::from_raw_parts(first, most.min(left) as usize) }
    }

    /// The slot of a page of the extent's leaf tables: `None` for any other page.
    #[inline]
    pub(crate) fn slot<'a, P: Platform>(&self, platform: &'a P, page: u32) -> Option<&'a AtomicU64> {
        self.numbered_slot(platform, page.wrapping_sub(self.built.start).into())
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
        4 + (self.built_pages() >> A::TABLE_SHIFT) + 3
    }
}

/// Addresses have 64 bits on every machine this crate is for (checked at the crate's root).
#[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits: lib.rs asserts it")]
#[inline(always)]
const fn to_usize(number: u64) -> usize {
    number as usize
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
