//! The entries of a view, below a program's root.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::made::{LENT, MadeTables, UnlinkRefused};
use super::{LinkError, path};
use crate::addr::{AddressRange, ProgramAddr, ProgramBase, WINDOW_SIZE};
use crate::arch::{Arch, Native, Root, TableReach};
use crate::layout::ArenaLayout;
use crate::platform::{FrameSource, PhysMap, Shootdown, ViewEntries};
use crate::sync::AtomicU64;
use crate::views;

/// The four entries that a program view needs, below the root table of a program's address space: a PML4 (4 or 5 levels), or
/// the table of `TTBR0_EL1` (or `TTBR1_EL1`).
///
/// # Several below one root
/// A program may have views of several arenas. Where they are in the same 512 GiB, the first window makes the table and the
/// others find it there: it goes back when the first is unlinked *after* the others, and until then
/// [`unlink`](Self::unlink) refuses, and gives the window back. So the last that was linked is the first to be unlinked, or the
/// kernel tries those that were refused again.
///
/// # Examples
/// ```no_run
/// use kernel_arena::arch::Root;
/// use kernel_arena::kit::{LinkError, ProgramWindow, UnlinkRefused};
/// use kernel_arena::views::{AttachError, FaultPolicy, View, ViewRights};
/// use kernel_arena::{Arena, Platform, ProgramAddr};
///
/// #[derive(Debug)]
/// enum NoView { Link(LinkError), Attach(AttachError) }
///
/// /// The arena in a new process, from 0x70_0000_0000 on: before the process runs.
/// fn share<P: Platform>(arena: &Arena<P>, page_table: u64) -> Result<View<ProgramWindow>, NoView> {
///     let root = Root::new(page_table, 48).expect("a root table is aligned");
///     let (base, platform) = (ProgramAddr::new(0x70_0000_0000), arena.platform());
///     // SAFETY: the process's own root table, which nobody else edits, and which stays until the view is detached.
///     let window = unsafe { ProgramWindow::link_below(root, base, arena.layout(), platform.frames(), platform.phys_map()) }
///         .map_err(NoView::Link)?;
///     arena.attach_view(window, ViewRights::ReadWrite, FaultPolicy::Lazy).map_err(|refused| {
///         give_back(arena, refused.entries).expect("nobody else has mapped anything since");
///         NoView::Attach(refused.error)
///     })
/// }
///
/// /// When the process ends: its tables go back to the source.
/// fn take_away<P: Platform>(arena: &Arena<P>, view: View<ProgramWindow>) -> Result<(), UnlinkRefused<ProgramWindow>> {
///     give_back(arena, arena.detach_view(view).expect("this arena's view"))
/// }
///
/// fn give_back<P: Platform>(arena: &Arena<P>, window: ProgramWindow) -> Result<(), UnlinkRefused<ProgramWindow>> {
///     let platform = arena.platform();
///     // SAFETY: source and map are those of `link_below`, and nobody edits the process's tables now.
///     unsafe { window.unlink(platform.frames(), platform.phys_map(), platform.shootdown()) }
/// }
/// ```
#[derive(Debug)]
pub struct ProgramWindow<A: Arch = Native> {
    base: ProgramBase,
    entries: [NonNull<AtomicU64>; 4],
    made: MadeTables,
    format: PhantomData<fn() -> A>,
}

// SAFETY: what it points to are words of page tables, which are live as long as it is and only accessed atomically.
unsafe impl<A: Arch> Send for ProgramWindow<A> {}
// SAFETY: as above.
unsafe impl<A: Arch> Sync for ProgramWindow<A> {}

impl<A: Arch> ProgramWindow<A> {
    /// Links the tables that are missing above the entries, below a program's root. New ones come from `frames`, at most
    /// two, and allow user mode what is below them.
    ///
    /// Context: it waits for nothing; the program may be running.
    ///
    /// # Errors
    /// [`LinkError`]; nothing was changed.
    ///
    /// # Safety
    /// `root` is the root table of an address space in the format `A`; it stays as long as what is returned does. `map`
    /// reaches its tables and what `frames` gives, and both keep the contracts of their traits. Nobody else changes these tables meanwhile, and as long as the
    /// `ProgramWindow` exists nobody removes the entries that lead to its own, or uses these.
    pub unsafe fn link_below(
        root: Root,
        base: ProgramAddr,
        layout: &ArenaLayout,
        frames: &impl FrameSource,
        map: &impl PhysMap,
    ) -> Result<Self, LinkError> {
        let base = views::check(layout, base).map_err(LinkError::ViewBase)?;
        let paths = path::to_view_entries::<A>(root, base)?;
        // SAFETY: as the caller promises.
        let (entries, made) = unsafe { path::link::<A, 4>(&paths, TableReach::Open, frames, map) }?;
        Ok(Self { base, entries, made, format: PhantomData })
    }

    /// How many tables were made for it: at most two.
    pub fn tables_made(&self) -> usize {
        self.made.count()
    }

    /// Takes out the tables that were made, and gives their frames to `frames` after one shootdown: all, or none.
    ///
    /// Context: *may wait for a shootdown*.
    ///
    /// # Errors
    /// [`UnlinkRefused`], with the window: the view is attached, or something else is entered in a table that was made. Nothing
    /// was changed.
    ///
    /// # Safety
    /// `frames` and `map` are those of [`link_below`](Self::link_below), and the shootdown keeps the contract of its trait. Nobody else makes, maps or takes away anything below
    /// these tables meanwhile; views of other windows below this root may come and go. No other root leads to the tables.
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
        let ranges = [AddressRange::new(self.base.address().into(), WINDOW_SIZE)];
        // SAFETY: as the caller promises, and nothing else is in them.
        unsafe { self.made.unlink::<A>(&self.entries, &ranges, frames, shootdown) };
        Ok(())
    }
}

// SAFETY: the entries were found below the root by the processor's own walk, and `link_below`'s caller promises that they
// stay, are used by nobody else, and that nothing is above them but what was checked.
unsafe impl<A: Arch> ViewEntries for ProgramWindow<A> {
    fn view_base(&self) -> ProgramAddr {
        self.base.address()
    }

    unsafe fn view_entries(&self) -> [&AtomicU64; 4] {
        // SAFETY: entries of tables that stay as long as it does.
        self.entries.map(|entry| unsafe { entry.as_ref() })
    }

    fn vacant_word(&self) -> u64 {
        LENT
    }
}
