//! Tables that were made, and how they are given back.

use core::ptr::NonNull;

use crate::addr::AddressRange;
use crate::arch::Arch;
use crate::platform::{FlushScope, Frame, FrameSource, PhysMap, Shootdown};
use crate::sync::AtomicU64;

/// Tables that may be missing: two above the window's entries (57-bit addresses), three above the guard's.
pub(super) const MOST_MADE: usize = 5;

/// A table that was made, and the entry that leads to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) entry: NonNull<AtomicU64>,
    pub(super) table: Frame,
}

/// All that were made, each after the one that leads to it.
#[derive(Debug, Default)]
pub(super) struct MadeTables([Option<Made>; MOST_MADE]);

impl MadeTables {
    pub(super) fn count(&self) -> usize {
        self.iter().count()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Made> {
        self.0.into_iter().flatten()
    }

    /// Where the next one is noted.
    pub(super) fn room(&mut self) -> Option<&mut Option<Made>> {
        self.0.iter_mut().find(|place| place.is_none())
    }

    /// Takes them out, and gives their frames back after one shootdown of what they translate; those in which something else
    /// has been entered meanwhile stay, and it says how many.
    ///
    /// # Safety
    /// The tables are ours, of this format, and came from `frames`; `map` reaches them; nobody else changes them meanwhile; no
    /// other root leads to them.
    pub(super) unsafe fn unlink<A: Arch>(
        self,
        ranges: &[AddressRange],
        frames: &impl FrameSource,
        map: &impl PhysMap,
        shootdown: &impl Shootdown,
    ) -> usize {
        let mut unlinked: [Option<Frame>; MOST_MADE] = [None; MOST_MADE];
        // The lowest come last, and go first.
        for (place, Made { entry, table }) in unlinked.iter_mut().zip(self.iter().rev()) {
            // SAFETY: the table is ours until it is given back, and the map reaches it.
            if unsafe { is_empty::<A>(table, map) } {
                // SAFETY: the entry is in the root, or in a table of ours that is still there.
                A::swap(unsafe { entry.as_ref() }, 0);
                *place = Some(table);
            }
        }
        if unlinked.iter().flatten().count() > 0 {
            shootdown.shootdown(ranges, FlushScope::Tables);
        }
        let stay = self.count() - unlinked.iter().flatten().count();
        for table in unlinked.into_iter().flatten() {
            // SAFETY: it came from this source, nothing leads to it, and every CPU has forgotten that anything did.
            unsafe { frames.free(table) };
        }
        stay
    }
}

/// Whether all entries of a table are zero.
///
/// # Safety
/// It is a live table, which `map` reaches.
unsafe fn is_empty<A: Arch>(table: Frame, map: &impl PhysMap) -> bool {
    let first = map.frame_to_ptr(table).cast::<AtomicU64>();
    // SAFETY: the map gives the frame's 4096 bytes, which are 512 entries, only ever accessed atomically.
    let entries = unsafe { core::slice::from_raw_parts(first.as_ptr(), 512) };
    entries.iter().all(|entry| A::load(entry) == 0)
}
