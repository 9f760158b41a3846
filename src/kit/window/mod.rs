//! Lent entries that link themselves below a root table.
//!
//! Five words are lent to an arena: four of a table whose entries cover 1 GiB each, and one of a table of 2 MiB entries, for
//! the guard. Between them and the root there may be tables or not, large pages, or what the kernel maps beside the window. A
//! [`Window`] walks down from the root through the physical map, makes the tables that are missing, all of them or none, and
//! knows how to give them back. The words themselves are the arena's to write; between arenas they hold a note that they are
//! lent, so that a table in which a window has its entries is empty to nobody.

use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::addr::{KernelAddr, VirtAddr};
use crate::arch::{Arch, Native, Root, TableReach};
use crate::layout::ArenaLayout;
use crate::platform::{FrameSource, PhysMap, Shootdown, UpperSlots};
use crate::sync::AtomicU64;

mod error;
mod made;
mod path;
mod program;
mod roots;

pub use error::LinkError;
pub use made::{UnlinkError, UnlinkRefused};
pub use program::ProgramWindow;

use made::{LENT, MadeTables};

/// log2 of what a lent entry of the window covers, and of what the guard's covers.
const WINDOW_ENTRY_SHIFT: u32 = 30;
const GUARD_ENTRY_SHIFT: u32 = 21;

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
    made: MadeTables,
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
    /// and what `frames` gives, and both keep the contracts of their traits. Nobody else changes these tables meanwhile, and while the `Window` exists nobody removes the
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
        let paths = path::to_lent_entries::<A>(root, layout)?;
        // SAFETY: as the caller promises.
        let (entries, made) = unsafe { path::link::<A, 5>(&paths, TableReach::Kernel, frames, map) }?;
        Ok(Self { base: layout.base(), root, entries, made, format: PhantomData })
    }

    /// How many tables were made for it: at most five.
    pub fn tables_made(&self) -> usize {
        self.made.count()
    }

    /// Takes out the tables that were made, and gives their frames to `frames` after one shootdown: all, or none. Where other
    /// windows share them, the last that was linked is the first to be unlinked.
    ///
    /// Context: *may wait for a shootdown*.
    ///
    /// # Errors
    /// [`UnlinkRefused`], with the window: the arena that the entries were lent to has not been
    /// [destroyed](crate::Arena::destroy), or something else is entered in a table that was made. Nothing was changed.
    ///
    /// # Safety
    /// `frames` and `map` are those of [`link`](Self::link), and the shootdown keeps the contract of its trait. Nobody else makes, maps or takes away anything below these tables
    /// meanwhile; arenas over other windows may come and go. No other root leads to the tables: those that got them by
    /// [`link_into`](Self::link_into), of this window or of another that shares them, or as copies, are gone, or were passed
    /// to [`unlink_from`](Self::unlink_from) of this one.
    #[expect(clippy::result_large_err, reason = "the window comes back, and there is no heap to box it in")]
    pub unsafe fn unlink(
        self,
        frames: &impl FrameSource,
        map: &impl PhysMap,
        shootdown: &impl Shootdown,
    ) -> Result<(), UnlinkRefused<Self>> {
        // SAFETY: as the caller promises.
        if let Err(error) = unsafe { self.made.check::<A>(&self.entries, map) } {
            return Err(UnlinkRefused { error, window: self });
        }
        let ranges = [ArenaLayout::window_at(self.base), ArenaLayout::guard_at(self.base)];
        // SAFETY: as the caller promises, and nothing else is in them.
        unsafe { self.made.unlink::<A>(&self.entries, &ranges, frames, shootdown) };
        Ok(())
    }
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

    fn vacant_word(&self) -> u64 {
        LENT
    }
}
