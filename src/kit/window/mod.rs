//! Lent entries that link themselves below a root table.
//!
//! Five words are lent to an arena: four of a table whose entries cover 1 GiB each, and one of a table of 2 MiB entries, for
//! the guard. Between them and the root there may be tables or not, large pages, or what the kernel maps beside the window. A
//! [`Window`] walks down from the root through the physical map, makes the tables that are missing, all of them or none, and
//! knows how to give them back. The words themselves are the arena's to write.

use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::addr::{KernelAddr, VirtAddr};
use crate::arch::{Arch, Native, Root};
use crate::layout::ArenaLayout;
use crate::platform::{FlushScope, Frame, FrameSource, PhysMap, Shootdown, UpperSlots};
use crate::sync::AtomicU64;

mod error;
mod path;
mod roots;

pub use error::LinkError;

use path::{Fresh, Made};

/// log2 of what a lent entry of the window covers, and of what the guard's covers.
const WINDOW_ENTRY_SHIFT: u32 = 30;
const GUARD_ENTRY_SHIFT: u32 = 21;
/// Tables that may be missing: two above the window's entries (57-bit addresses), three above the guard's.
const MOST_MADE: usize = 5;

/// The lent entries of one arena, below a root table.
///
/// # Other roots
/// A kernel with a root a process touches the window under each of them, so each must lead to these entries. Where roots are
/// made as copies of the first one's upper half, one that is made *after* [`link`](Self::link) does; one made before, or in
/// another way, gets them by [`link_into`](Self::link_into). (On aarch64 a window in `TTBR1_EL1`'s half is under one
/// root for all processes.) [`Arena::check_cpu`](crate::Arena::check_cpu) tells whether the root that is loaded leads
/// there.
///
/// # Examples
/// See [the module](super).
#[derive(Debug)]
pub struct Window<A: Arch = Native> {
    base: KernelAddr,
    root: Root,
    /// Four for the window, then the guard's.
    entries: [NonNull<AtomicU64>; 5],
    made: [Option<Made>; MOST_MADE],
    format: PhantomData<fn() -> A>,
}

// SAFETY: what it points to are words of page tables, which are live as long as it is and only accessed atomically.
unsafe impl<A: Arch> Send for Window<A> {}
// SAFETY: as above.
unsafe impl<A: Arch> Sync for Window<A> {}

impl<A: Arch> Window<A> {
    /// Links the tables that are missing above the window's entries, below the root that this CPU has loaded for it: CR3's, or
    /// TTBR0_EL1's or TTBR1_EL1's. New tables come from `frames`, at most five.
    ///
    /// Context: before the window is used; it waits for nothing.
    ///
    /// # Errors
    /// [`LinkError`]; nothing was changed.
    ///
    /// # Safety
    /// `map` reaches the tables from the root down to the entries (on x86_64 also those by which the map itself is mapped),
    /// and what `frames` gives. Nobody else changes these tables meanwhile, and while the `Window` exists nobody removes the
    /// entries that lead to its own. The kernel uses the window, the 2 MiB above it and the 32 KiB below it for nothing else.
    pub unsafe fn link(layout: &ArenaLayout, frames: &impl FrameSource, map: &impl PhysMap) -> Result<Self, LinkError> {
        A::check_cpu(layout).map_err(LinkError::UnsupportedCpu)?;
        let root = A::loaded_root(layout.window().start()).ok_or(LinkError::NotWalked)?;
        let table = root.frame(map);
        // SAFETY: the map reaches the loaded tables, as the caller promises; whether it does is asked before anything is written.
        if !unsafe { A::has_where_mapped(table, map) } {
            return Err(LinkError::WrongMap { address: VirtAddr::new(map.frame_to_ptr(table).addr().get() as u64) });
        }
        // SAFETY: the loaded root is a table; the rest as the caller promises.
        unsafe { Self::link_below(root, layout, frames, map) }
    }

    /// The same below a root that is not loaded (yet).
    ///
    /// # Errors
    /// [`LinkError`]; nothing was changed.
    ///
    /// # Safety
    /// As for [`link`](Self::link); and `root` is a root table of this format.
    pub unsafe fn link_below(
        root: Root,
        layout: &ArenaLayout,
        frames: &impl FrameSource,
        map: &impl PhysMap,
    ) -> Result<Self, LinkError> {
        let paths = path::to_lent_entries(root, layout)?;
        // SAFETY: as the caller promises.
        let missing = unsafe { path::missing::<A>(&paths, map) }?;
        let mut fresh = Fresh::take(missing, frames).ok_or(LinkError::OutOfFrames)?;
        let mut made = [None; MOST_MADE];
        let mut entries = [NonNull::dangling(); 5];
        for (entry, path) in entries.iter_mut().zip(&paths) {
            // SAFETY: as the caller promises.
            *entry = unsafe { path.make::<A>(map, &mut fresh, &mut made) }?;
        }
        A::publish_and_sync();
        Ok(Self { base: layout.base(), root, entries, made, format: PhantomData })
    }

    /// How many tables were made for it: at most five.
    pub fn tables_made(&self) -> usize {
        self.made.iter().flatten().count()
    }

    /// Takes out the tables that were made, and gives their frames to `frames` after one shootdown; those in which something
    /// else has been entered meanwhile stay, and it says how many.
    ///
    /// Context: *may wait for a shootdown*.
    ///
    /// # Safety
    /// The arena that the entries were lent to has been [destroyed](crate::Arena::destroy), so that they are zero. `frames` and
    /// `map` are those of [`link`](Self::link). Nobody else changes these tables meanwhile. No other root leads to them: those
    /// that got them by [`link_into`](Self::link_into) or as copies are gone, or were passed to
    /// [`unlink_from`](Self::unlink_from).
    pub unsafe fn unlink(self, frames: &impl FrameSource, map: &impl PhysMap, shootdown: &impl Shootdown) -> usize {
        let mut unlinked: [Option<Frame>; MOST_MADE] = [None; MOST_MADE];
        // The lowest come last, and go first.
        for (place, Made { entry, table }) in unlinked.iter_mut().zip(self.made.into_iter().flatten().rev()) {
            // SAFETY: the table is ours until it is given back, and the map reaches it.
            if unsafe { is_empty::<A>(table, map) } {
                // SAFETY: the entry is in the root, or in a table of ours that is still there.
                A::swap(unsafe { entry.as_ref() }, 0);
                *place = Some(table);
            }
        }
        let ranges = [ArenaLayout::window_at(self.base), ArenaLayout::guard_at(self.base)];
        if unlinked.iter().flatten().count() > 0 {
            shootdown.shootdown(&ranges, FlushScope::Tables);
        }
        let stay = self.tables_made() - unlinked.iter().flatten().count();
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

impl<A: Arch> UpperSlots for Window<A> {
    fn window_base(&self) -> KernelAddr {
        self.base
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        let [first, second, third, fourth, _] = self.entries;
        // SAFETY: they are entries of tables that stay while the window is linked (`link`'s contract).
        [first, second, third, fourth].map(|entry| unsafe { entry.as_ref() })
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        let [.., guard] = self.entries;
        // SAFETY: as above.
        unsafe { guard.as_ref() }
    }
}
