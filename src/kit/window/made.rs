//! Tables that were made, the entries that are held, and how all of it is given back.
//!
//! Windows may lie side by side below one table: one has made it, the others have found it there. The maker must not give it
//! back while another has entries in it, be they linked to an arena or not, for what an arena links later would be written
//! into somebody else's frame. So the entries of a window are never zero while it exists: between arenas they hold [`LENT`].
//! A table is given back if all that is in it is this window's own.

use core::fmt;
use core::ptr::NonNull;

use crate::addr::{AddressRange, VirtAddr};
use crate::arch::Arch;
use crate::platform::{FlushScope, Frame, FrameSource, PhysMap, Shootdown};
use crate::sync::AtomicU64;

/// What a window's entries hold while no arena has them: two bits that both formats leave to software (Intel SDM vol. 3, 4.5.5;
/// Arm ARM D8.3.2). Bit 0 is clear, so no processor takes it for an entry, and so are those of an address, for some
/// processors guess from entries that are not present.
pub(super) const LENT: u64 = 0b101 << 55;

/// Tables that may be missing: two above the window's entries (57-bit addresses), three above the guard's.
pub(super) const MOST_MADE: usize = 5;

/// Why a window was not unlinked. Nothing was changed.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlinkError {
    /// An arena has the entries: detach the view, or destroy the arena, first.
    InUse,
    /// Something else is entered in a table that was made for this window: another window that has found it there, or what the
    /// kernel maps. Unlink those first, and try again.
    TableInUse {
        /// An address that the other's entry covers.
        address: VirtAddr,
    },
}

impl fmt::Display for UnlinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("an arena has the entries: detach the view, or destroy the arena, first"),
            Self::TableInUse { address } => {
                write!(f, "a table that was made is in use for {address:?}: unlink or unmap that first, and try again")
            }
        }
    }
}

impl core::error::Error for UnlinkError {}

/// A window that was not unlinked: why, and the window, as it was.
pub struct UnlinkRefused<W> {
    /// What is in the way.
    pub error: UnlinkError,
    /// The window, to be unlinked later. Where the kernel takes down all tables of the address space itself, those that were
    /// made go with them, and this is dropped.
    pub window: W,
}

impl<W> fmt::Debug for UnlinkRefused<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnlinkRefused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<W> fmt::Display for UnlinkRefused<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<W> core::error::Error for UnlinkRefused<W> {}

/// A table that was made, and the entry that leads to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) entry: NonNull<AtomicU64>,
    pub(super) table: Frame,
    /// The first address that the table translates, and log2 of what one of its entries covers.
    pub(super) first: VirtAddr,
    pub(super) shift: u32,
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

    /// Whether nothing but the window's own entries, and what leads to its own tables, is in these tables.
    ///
    /// # Safety
    /// The tables are ours, of this format, and `map` reaches them; nobody else makes or takes away tables meanwhile.
    pub(super) unsafe fn check<A: Arch>(
        &self,
        lent: &[NonNull<AtomicU64>],
        map: &impl PhysMap,
    ) -> Result<(), UnlinkError> {
        // SAFETY: entries of tables that stay while the window is linked.
        if lent.iter().any(|entry| A::load(unsafe { entry.as_ref() }) != LENT) {
            return Err(UnlinkError::InUse);
        }
        let is_ours = |entry| lent.contains(&entry) || self.iter().any(|made| made.entry == entry);
        for Made { table, first, shift, .. } in self.iter() {
            // SAFETY: the table is ours until it is given back, and the map reaches it.
            let entries = unsafe { entries(table, map) };
            let others = |entry: &AtomicU64| A::load(entry) != 0 && !is_ours(NonNull::from(entry));
            if let Some(index) = entries.iter().position(others) {
                return Err(UnlinkError::TableInUse {
                    address: VirtAddr::new(first.value() | (index as u64) << shift),
                });
            }
        }
        Ok(())
    }

    /// Takes the entries and the tables out, and gives the tables' frames back after one shootdown of what they translate.
    ///
    /// # Safety
    /// As for [`check`](Self::check), which found nothing; the tables came from `frames`, and no other root leads to them.
    pub(super) unsafe fn unlink<A: Arch>(
        &self,
        lent: &[NonNull<AtomicU64>],
        ranges: &[AddressRange],
        frames: &impl FrameSource,
        shootdown: &impl Shootdown,
    ) {
        for entry in lent {
            // SAFETY: it is in a table that is still there.
            A::swap(unsafe { entry.as_ref() }, 0);
        }
        // The lowest come last, and go first.
        for Made { entry, .. } in self.iter().rev() {
            // SAFETY: the entry is in a table of the kernel's, or in one of ours that is still there.
            A::swap(unsafe { entry.as_ref() }, 0);
        }
        if self.count() > 0 {
            shootdown.shootdown(ranges, FlushScope::Tables);
        }
        for Made { table, .. } in self.iter() {
            // SAFETY: it came from this source, nothing leads to it, and every CPU has forgotten that anything did.
            unsafe { frames.free(table) };
        }
    }
}

/// The entries of a table.
///
/// # Safety
/// It is a live table, which `map` reaches.
unsafe fn entries(table: Frame, map: &impl PhysMap) -> &[AtomicU64] {
    let first = map.frame_to_ptr(table).cast::<AtomicU64>();
    // SAFETY: the map gives the frame's 4096 bytes, which are 512 entries, only ever accessed atomically.
    unsafe { core::slice::from_raw_parts(first.as_ptr(), 512) }
}
