//! Windows that lie side by side below one table: whoever made it keeps it for the others.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use kernel_arena::arch::{Arch, Root, aarch64::AArch64, x86_64::X86_64};
use kernel_arena::kit::{LinkError, Parts, ProgramWindow, UnlinkError, Unnamed, Window};
use kernel_arena::platform::{CpuCount, FixedOffset, Frame, FrameSource, NodeId, UpperSlots, ViewEntries};
use kernel_arena::sync::AtomicU64;
use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{AddressWidth, Arena, ArenaLayout, KernelAddr, PageCount, PageIndex, ProgramAddr, VirtAddr};

use super::memory::{Flushes, Memory, entries, map};
use super::window::walked;

const ONE: ArenaLayout = ArenaLayout::fixed(0xffff_9010_0000_0000, AddressWidth::BITS_48, 16).with_views(2);
/// In the same 512 GiB, beyond the first one's guard.
const OTHER: ArenaLayout = ArenaLayout::fixed(0xffff_9012_0000_0000, AddressWidth::BITS_48, 16).with_views(2);
const BASE: u64 = 0x0000_0010_0000_0000;
const NEXT: u64 = BASE + (1 << 32);

type Kernel<A> = Parts<&'static Memory, FixedOffset, Flushes, Unnamed, Window<A>>;

fn memory() -> &'static Memory {
    Box::leak(Box::new(Memory::of(64)))
}

fn window<A: Arch>(root: Root, layout: &ArenaLayout, memory: &impl FrameSource) -> Result<Window<A>, LinkError> {
    // SAFETY: the root and what is below are tables of this test's, at the map's addresses.
    unsafe { Window::link_below(root, layout, memory, &map()) }
}

fn program<A: Arch>(
    root: Root,
    base: u64,
    layout: &ArenaLayout,
    memory: &Memory,
) -> Result<ProgramWindow<A>, LinkError> {
    // SAFETY: as above.
    unsafe { ProgramWindow::link_below(root, ProgramAddr::new(base), layout, memory, &map()) }
}

fn arena<A: Arch>(window: Window<A>, layout: ArenaLayout, memory: &'static Memory) -> Arena<Kernel<A>, A> {
    // SAFETY: a process; the entries are this arena's alone.
    let kernel = unsafe { Parts::new(memory, map(), Flushes::default(), Unnamed::new(CpuCount::ONE), window) };
    Arena::new(kernel, layout, Box::leak(Box::new_uninit_slice(layout.metadata_words()))).unwrap()
}

/// Takes it down, and gives its window.
fn ended<A: Arch>(arena: Arena<Kernel<A>, A>) -> Window<A> {
    arena.destroy().unwrap().platform.into_parts().4
}

/// A window that cannot be unlinked yet.
trait Refused: Sized {
    fn refused(self, memory: &Memory) -> (UnlinkError, Self);
}

impl<A: Arch> Refused for Window<A> {
    fn refused(self, memory: &Memory) -> (UnlinkError, Self) {
        // SAFETY: no other root has been given anything.
        let refused = unsafe { self.unlink(memory, &map(), &Flushes::default()) }.unwrap_err();
        (refused.error, refused.window)
    }
}

impl<A: Arch> Refused for ProgramWindow<A> {
    fn refused(self, memory: &Memory) -> (UnlinkError, Self) {
        // SAFETY: as above.
        let refused = unsafe { self.unlink(memory, &map(), &Flushes::default()) }.unwrap_err();
        (refused.error, refused.window)
    }
}

fn in_use(address: u64) -> UnlinkError {
    UnlinkError::TableInUse { address: VirtAddr::new(address) }
}

fn a_view_keeps_the_table_that_another_made<A: Arch>() {
    let memory = memory();
    let (_, kernels) = memory.root(48);
    let one = arena(window::<A>(kernels, &ONE, memory).unwrap(), ONE, memory);
    let other = arena(window::<A>(kernels, &OTHER, memory).unwrap(), OTHER, memory);
    let (table, root) = memory.root(48);
    let before = memory.left();

    let maker = program::<A>(root, BASE, &ONE, memory).unwrap();
    let finder = program::<A>(root, NEXT, &OTHER, memory).unwrap();
    assert_eq!((maker.tables_made(), finder.tables_made(), before - memory.left()), (1, 0, 1));
    let view = one.attach_view(maker, ViewRights::ReadWrite, FaultPolicy::Segv).unwrap();
    let maker = one.detach_view(view).unwrap();

    // The other is linked, not attached: all that it has there is vacant, and it will write there.
    let (error, maker) = maker.refused(memory);
    assert_eq!(error, in_use(NEXT));
    let view = other.attach_view(finder, ViewRights::ReadWrite, FaultPolicy::Segv).unwrap();
    // SAFETY: read, not written.
    let shown = unsafe { (*walked(table, 48, NEXT, 30)).load(Ordering::Relaxed) };
    assert!(shown & 1 != 0, "the processor comes by the table in which it was attached");
    // Attached.
    let (error, maker) = maker.refused(memory);
    assert_eq!(error, in_use(NEXT));
    // Detached: it may be attached again.
    let finder = other.detach_view(view).unwrap();
    let (error, maker) = maker.refused(memory);
    assert_eq!((error, before - memory.left()), (in_use(NEXT), 1));
    // What was refused is as it was.
    let view = one.attach_view(maker, ViewRights::ReadOnly, FaultPolicy::Segv).unwrap();
    let maker = one.detach_view(view).unwrap();

    let flushes = Flushes::default();
    // SAFETY: no other root leads there.
    unsafe { finder.unlink(memory, &map(), &flushes) }.unwrap();
    assert_eq!(flushes.0.load(Ordering::Relaxed), 0, "it made none");
    // SAFETY: as above.
    unsafe { maker.unlink(memory, &map(), &flushes) }.unwrap();
    assert_eq!((flushes.0.into_inner(), memory.left()), (1, before));
    assert!(entries(table).iter().all(|entry| entry.load(Ordering::Relaxed) == 0));
    for arena in [one, other] {
        let _window = ended(arena);
    }
}

#[test]
fn a_program_window_keeps_the_table_for_one_beside_it() {
    a_view_keeps_the_table_that_another_made::<X86_64>();
    a_view_keeps_the_table_that_another_made::<AArch64>();
}

fn a_window_keeps_the_tables_that_another_uses<A: Arch>() {
    let memory = memory();
    let (table, root) = memory.root(48);
    let before = memory.left();
    let maker = window::<A>(root, &ONE, memory).unwrap();
    let finder = window::<A>(root, &OTHER, memory).unwrap();
    assert_eq!((maker.tables_made(), finder.tables_made()), (2, 1), "each has a table for its guard");
    let first = OTHER.base().value();
    let (error, maker) = maker.refused(memory);
    assert_eq!(error, in_use(first));
    let two = arena(finder, OTHER, memory);
    let (error, maker) = maker.refused(memory);
    assert_eq!(error, in_use(first));
    let finder = ended(two);
    let maker = ended(arena(maker, ONE, memory));
    // SAFETY: both arenas are gone, and no other root has been given anything.
    unsafe { finder.unlink(memory, &map(), &Flushes::default()) }.unwrap();
    // SAFETY: as above.
    unsafe { maker.unlink(memory, &map(), &Flushes::default()) }.unwrap();
    assert_eq!(memory.left(), before);
    assert!(entries(table).iter().all(|entry| entry.load(Ordering::Relaxed) == 0));
}

#[test]
fn a_kernels_window_keeps_the_tables_for_one_beside_it() {
    a_window_keeps_the_tables_that_another_uses::<X86_64>();
    a_window_keeps_the_tables_that_another_uses::<AArch64>();
}

fn an_entry_goes_with_the_window_that_made_its_table<A: Arch>() {
    let memory = memory();
    let (_, root) = memory.root(48);
    let maker = window::<A>(root, &ONE, memory).unwrap();
    let finder = window::<A>(root, &OTHER, memory).unwrap();
    let (table, process) = memory.root(48);
    let leading = || entries(table).iter().filter(|entry| entry.load(Ordering::Relaxed) != 0).count();
    // SAFETY: roots of this test's.
    unsafe { finder.link_into(process, &map()) }.unwrap();
    // SAFETY: as above. The table is the maker's, and whether its window is used under that root this one cannot tell.
    unsafe { finder.unlink_from(process, &map()) };
    assert_eq!(leading(), 1);
    // SAFETY: as above.
    unsafe { maker.unlink_from(process, &map()) };
    assert_eq!(leading(), 0, "it has not been linked there itself, but the table is its own");
}

#[test]
fn a_root_is_passed_to_the_window_that_made_the_table() {
    an_entry_goes_with_the_window_that_made_its_table::<X86_64>();
    an_entry_goes_with_the_window_that_made_its_table::<AArch64>();
}

fn a_guard_is_not_another_window<A: Arch>() {
    let memory = memory();
    let (_, root) = memory.root(48);
    let base = ONE.base().value();
    // Nothing in its first 2 MiB, so its directory has no entry where the guard of a window below would be.
    let (first, sixteen) = (PageIndex::new(512).unwrap(), PageCount::new(16).unwrap());
    let above = KernelAddr::new(base + (1 << 32));
    let above = ArenaLayout::new(above, AddressWidth::BITS_48, first, sixteen).unwrap();
    let refused = LinkError::InUse { address: ONE.upper_guard().start() };

    let linked = window::<A>(root, &above, memory).unwrap();
    assert_eq!(window::<A>(root, &ONE, memory).err(), Some(refused));
    let arena = arena(linked, above, memory);
    let left = memory.left();
    assert_eq!(window::<A>(root, &ONE, memory).err(), Some(refused));
    assert_eq!((arena.validate(), memory.left()), (Ok(()), left));
    let linked = ended(arena);
    // SAFETY: no other root has been given anything.
    unsafe { linked.unlink(memory, &map(), &Flushes::default()) }.unwrap();
    let _below = window::<A>(root, &ONE, memory).unwrap();
    let refused = LinkError::InUse { address: VirtAddr::new(base + (1 << 32)) };
    assert_eq!(window::<A>(root, &above, memory).err(), Some(refused));
}

#[test]
fn a_window_is_refused_whose_guard_another_begins_in() {
    a_guard_is_not_another_window::<X86_64>();
    a_guard_is_not_another_window::<AArch64>();
}

#[test]
fn a_window_is_linked_once_and_not_unlinked_while_a_view_is_attached() {
    let memory = memory();
    let (_, kernels) = memory.root(48);
    let one = arena(window::<X86_64>(kernels, &ONE, memory).unwrap(), ONE, memory);
    let (_, root) = memory.root(48);
    let left = memory.left();
    let linked = program::<X86_64>(root, BASE, &ONE, memory).unwrap();
    let again = program::<X86_64>(root, BASE, &ONE, memory).unwrap_err();
    assert_eq!(again, LinkError::InUse { address: VirtAddr::new(BASE) });
    let again = window::<X86_64>(kernels, &ONE, memory).unwrap_err();
    assert_eq!(again, LinkError::InUse { address: VirtAddr::new(ONE.base().value()) });

    let view = one.attach_view(Lent(&linked), ViewRights::ReadWrite, FaultPolicy::Segv).unwrap();
    drop(view); // it stays attached
    let (error, linked) = linked.refused(memory);
    assert_eq!((error, memory.left()), (UnlinkError::InUse, left - 1));
    // SAFETY: read, not written.
    assert!(unsafe { linked.view_entries() }.iter().all(|entry| entry.load(Ordering::Relaxed) & 1 != 0));
}

/// A window whose view is never detached, to look at it meanwhile.
struct Lent<'a, A: Arch>(&'a ProgramWindow<A>);

// SAFETY: the window's own entries, lent once.
unsafe impl<A: Arch> ViewEntries for Lent<'_, A> {
    fn view_base(&self) -> ProgramAddr {
        self.0.view_base()
    }

    unsafe fn view_entries(&self) -> [&AtomicU64; 4] {
        // SAFETY: as the caller promises.
        unsafe { self.0.view_entries() }
    }

    fn vacant_word(&self) -> u64 {
        self.0.vacant_word()
    }
}

/// Frames of a source that, when it is asked, maps something of its own below the root.
struct Busybody<'a> {
    memory: &'a Memory,
    intrude: &'a dyn Fn(),
    /// How often it is still asked before that; `None` afterwards.
    after: Cell<Option<usize>>,
}

impl FrameSource for Busybody<'_> {
    fn alloc(&self, node: Option<NodeId>) -> Option<Frame> {
        match self.after.take() {
            Some(0) => (self.intrude)(),
            Some(more) => self.after.set(Some(more - 1)),
            None => {}
        }
        self.memory.alloc(node)
    }

    unsafe fn free(&self, frame: Frame) {
        // SAFETY: as the caller promises.
        unsafe { self.memory.free(frame) };
    }
}

#[test]
fn what_the_frame_source_maps_meanwhile_is_heeded() {
    let memory = memory();
    let base = ONE.base().value();
    let index = |address: u64, shift: u32| (address >> shift & 511) as usize;
    let used = |table| entries(table).iter().filter(|entry| entry.load(Ordering::Relaxed) != 0).count();
    // A page of 1 GiB where the guard's table would be, below the table that is missing, or below another: of the second the
    // window knows only when it has linked the first.
    for layout in [ONE, ArenaLayout::fixed(0xffff_907f_0000_0000, AddressWidth::BITS_48, 16)] {
        for asked in 0..2 {
            let (table, root) = memory.root(48);
            let upper = memory.table();
            let guard = layout.upper_guard().start();
            let intrude = || {
                entries(upper)[index(guard.value(), 30)].store(0x4000_0083, Ordering::Relaxed);
                entries(table)[index(guard.value(), 39)].store(upper.address() | 3, Ordering::Relaxed);
            };
            let left = memory.left();
            let source = Busybody { memory, intrude: &intrude, after: Cell::new(Some(asked)) };
            let refused = window::<X86_64>(root, &layout, &source).unwrap_err();
            assert_eq!(refused, LinkError::LargePage { address: guard });
            assert_eq!((memory.left(), used(table), used(upper)), (left, 1, 1), "nothing was changed");
        }
    }
    // A table on the way: then one fewer is missing.
    let (table, root) = memory.root(48);
    let upper = memory.table();
    let left = memory.left();
    let intrude = || entries(table)[index(base, 39)].store(upper.address() | 3, Ordering::Relaxed);
    let source = Busybody { memory, intrude: &intrude, after: Cell::new(Some(1)) };
    let linked = window::<X86_64>(root, &ONE, &source).unwrap();
    assert_eq!((linked.tables_made(), memory.left()), (1, left - 1));
    // SAFETY: read, not written.
    let guard = unsafe { linked.guard_entry() };
    assert!(std::ptr::eq(guard, walked(table, 48, base + (1 << 32), 21)));
}
