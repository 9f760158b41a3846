//! Building the tables, linking them into the window, and giving them back.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::Tables;
use crate::addr::PAGE_SHIFT;
use crate::arch::{Arch, TableReach};
use crate::layout::ArenaLayout;
use crate::platform::{EntryAttributes, Frame, FrameSource, PhysMap, Platform, UpperSlots};
use crate::slot::{SlotCodec, SlotState};
use crate::sync::{self, AtomicU64, Ordering};

impl<A: Arch> Tables<A> {
    /// Builds all tables of an arena, linked to each other but not to anything above; `None` if the frames ran out, and
    /// then all of them went back.
    pub(crate) fn build<P: Platform>(
        platform: &P,
        layout: &ArenaLayout,
        attributes: EntryAttributes,
        leaves: &'static [AtomicU64],
    ) -> Option<Self> {
        let mut taken = Fixed { platform, frames: [None; 7] };
        for place in &mut taken.frames {
            *place = Some(platform.frames().alloc(None)?);
        }
        let [Some(d0), Some(d1), Some(d2), Some(d3), Some(guard), Some(scratch_table), Some(scratch_page)] =
            taken.frames
        else {
            return None;
        };
        let extent = layout.extent().numbers();
        let leaf = Self::LEAF_PAGES;
        let built = extent.start / leaf * leaf..extent.end.next_multiple_of(leaf);
        let tables = Self {
            directories: [d0, d1, d2, d3],
            guard,
            scratch_table,
            scratch_page,
            attributes,
            start: layout.base().value() + (u64::from(built.start) << PAGE_SHIFT),
            built,
            leaves,
            format: PhantomData,
        };
        let scratch = SlotCodec::<A>::new(attributes, scratch_page, layout.sharing()).encode(SlotState::Scratch);
        for table in [d0, d1, d2, d3, guard] {
            write_table::<A, P>(platform, table, 0);
        }
        write_table::<A, P>(platform, scratch_table, scratch);
        zero_frame::<A, P>(platform, scratch_page);
        let mut count = 0;
        if tables.build_leaves(platform, &mut count).is_none() {
            tables.free_leaves(platform, count);
            return None;
        }
        taken.frames = [None; 7];
        Some(tables)
    }

    /// Builds and links the leaf tables, and counts them; `None` if the frames ran out first.
    fn build_leaves<P: Platform>(&self, platform: &P, count: &mut usize) -> Option<()> {
        for (number, page) in self.built().step_by(Self::LEAF_PAGES as usize).enumerate() {
            let table = platform.frames().alloc(None)?;
            write_table::<A, P>(platform, table, 0);
            let word = A::table(table, TableReach::Open, self.attributes);
            A::swap(self.directory_entry(platform, page)?, word);
            if Self::LEAVES_ARE_KNOWN {
                // Relaxed: nobody else has these tables before the arena is there.
                self.leaves.get(number)?.store(table.address(), Ordering::Relaxed);
            }
            *count = number + 1;
        }
        Some(())
    }

    /// Gives the first `count` leaf tables back, whatever somebody else has put in place of their links.
    fn free_leaves<P: Platform>(&self, platform: &P, count: usize) {
        for (number, page) in self.built().step_by(Self::LEAF_PAGES as usize).enumerate().take(count) {
            let word = self.directory_entry(platform, page).map_or(0, |entry| A::swap(entry, 0));
            let table = if Self::LEAVES_ARE_KNOWN {
                self.leaves.get(number).map(|table| Frame::again(table.load(Ordering::Relaxed)))
            } else {
                A::decode_table(word, self.attributes).filter(|_| self.is_leaf_link(word))
            };
            if let Some(table) = table {
                // SAFETY: it came from this source when it was built, and no entry of the arena's leads to it any more.
                unsafe { platform.frames().free(table) };
            }
        }
    }

    /// Whether all lent entries are vacant, as they must be before they are linked.
    #[inline(never)]
    pub(crate) fn upper_is_vacant<P: Platform>(platform: &P) -> bool {
        let vacant = platform.upper().vacant_word();
        upper_entries(platform).all(|entry| A::load(entry) == vacant)
    }

    /// Puts the window into the kernel view, each entry by a compare-exchange from the vacant word, lowest first: of two arenas that are
    /// created over the same entries one finds the first of them taken, and has linked nothing yet.
    pub(crate) fn link<P: Platform>(&self, platform: &P) -> Result<(), NotVacant> {
        let vacant = platform.upper().vacant_word();
        for (linked, (entry, word)) in upper_entries(platform).zip(self.upper_words()).enumerate() {
            A::try_install(entry, vacant, word).map_err(|_| NotVacant { linked })?;
        }
        A::publish_and_sync();
        Ok(())
    }

    /// Takes the first `linked` entries of the window out of the kernel view. What TLBs remember is the caller's to flush.
    pub(crate) fn unlink<P: Platform>(&self, platform: &P, linked: usize) {
        let vacant = platform.upper().vacant_word();
        for entry in upper_entries(platform).take(linked) {
            A::swap(entry, vacant);
        }
    }

    /// Gives all tables and the scratch page back.
    ///
    /// The caller has unlinked the window and had every CPU forget it, and nobody else uses the arena any more.
    pub(crate) fn release<P: Platform>(self, platform: &P) {
        self.free_leaves(platform, usize::MAX);
        let fixed = [self.guard, self.scratch_table, self.scratch_page];
        for frame in self.directories.into_iter().chain(fixed) {
            // SAFETY: they came from this source when the tables were built; the caller has nobody use them any more.
            unsafe { platform.frames().free(frame) };
        }
    }
}

/// A lent entry was not vacant when its turn came to be linked.
#[derive(Debug)]
pub(crate) struct NotVacant {
    /// How many entries before it had been linked.
    pub(crate) linked: usize,
}

/// How many entries are lent.
pub(crate) const UPPER_ENTRIES: usize = 5;

/// The lent entries: four for the window, then the guard's.
pub(crate) fn upper_entries<P: Platform>(platform: &P) -> impl Iterator<Item = &AtomicU64> {
    let upper = platform.upper();
    // SAFETY: they are lent to the arena whose platform this is, which writes them in `link` and `unlink` alone.
    let window = unsafe { upper.window_entries() };
    // SAFETY: as above.
    let guard = unsafe { upper.guard_entry() };
    window.into_iter().chain([guard])
}

/// The frames that every arena has; those still in it go back when it is dropped.
struct Fixed<'a, P: Platform> {
    platform: &'a P,
    frames: [Option<Frame>; 7],
}

impl<P: Platform> Drop for Fixed<'_, P> {
    #[inline(never)]
    fn drop(&mut self) {
        for frame in self.frames.into_iter().flatten() {
            // SAFETY: it came from this source a moment ago, and nothing was linked to it.
            unsafe { self.platform.frames().free(frame) };
        }
    }
}

/// Makes a table of a fresh frame, all of whose words are `word`.
#[inline(never)]
fn write_table<A: Arch, P: Platform>(platform: &P, table: Frame, word: u64) {
    let first = platform.phys_map().frame_to_ptr(table).cast::<MaybeUninit<AtomicU64>>();
    // SAFETY: the frame came from the frame source a moment ago and belongs to nobody else; the physical map gives its
    // memory, which need not be initialised.
    let memory = unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), Tables::<A>::LEAF_PAGES as usize) };
    sync::write_words(memory, word);
}

/// Fills a fresh frame with zeros.
#[inline]
pub(crate) fn zero_frame<A: Arch, P: Platform>(platform: &P, frame: Frame) {
    let first = platform.phys_map().frame_to_ptr(frame);
    // SAFETY: the frame belongs to the arena and is not mapped anywhere yet; the physical map gives its 4096 bytes, aligned, of
    // a memory type that creation has checked.
    unsafe { A::zero_page(first) };
}
