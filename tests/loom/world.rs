//! Setting up an arena, what its owners and strangers do, and what must hold at the end. `tests/shuttle` has it, too.

use std::mem::MaybeUninit;
use std::sync::Arc;

use kernel_arena::arch::Arch;
use kernel_arena::platform::CpuCount;
use kernel_arena::{
    Access, AddressWidth, AllocRequest, Arena, ArenaLayout, ArenaPtr, Context, Fault, FaultOutcome, InstructionAddr,
    KernelAddr, MetadataWord, Owner, PAGE_SIZE, PageCount, PageIndex, PageRange, SlotState,
};

use crate::frames::{Memory, TABLE_FRAMES};
use crate::machine::{BASE, CPUS, Machine, Reached, Small, on_cpu};

/// An arena on the small machine.
pub(crate) type ModelArena<A = Small> = Arena<Machine, A>;

pub(crate) fn page(number: u32) -> PageIndex {
    PageIndex::new(number).expect("a page of the window")
}

/// The pointer to a page's first byte.
pub(crate) fn at(number: u32) -> ArenaPtr {
    page(number).to_ptr().expect("not page 0")
}

/// A layout whose extent is `count` pages from `first` on.
pub(crate) fn layout(first: u32, count: u32) -> ArenaLayout {
    layout_at(BASE, first, count)
}

/// The same, of another window.
pub(crate) fn layout_at(base: u64, first: u32, count: u32) -> ArenaLayout {
    let pages = PageCount::new(count).expect("fits the window");
    let layout = ArenaLayout::new(KernelAddr::new(base), AddressWidth::BITS_48, page(first), pages).expect("a layout");
    layout.with_cpus(CpuCount::new(CPUS.into()).expect("a few CPUs"))
}

/// An arena whose extent is `count` pages from `first` on.
pub(crate) fn start<A: Arch>(memory: &Arc<Memory>, first: u32, count: u32) -> Arc<ModelArena<A>> {
    build(memory, layout(first, count))
}

/// The same, with room for the program view.
pub(crate) fn start_with_view(memory: &Arc<Memory>) -> Arc<ModelArena> {
    build(memory, layout(1, 1).with_views(1))
}

/// An arena with this layout, at its base.
pub(crate) fn build<A: Arch>(memory: &Arc<Memory>, layout: ArenaLayout) -> Arc<ModelArena<A>> {
    let metadata: Box<[MaybeUninit<MetadataWord>]> =
        (0..layout.metadata_words()).map(|_| MaybeUninit::uninit()).collect();
    Arc::new(Arena::new(Machine::at(memory, layout.base().value()), layout, Box::leak(metadata)).expect("an arena"))
}

/// The end of every execution: slots and maps agree, and with the arena all frames come back, each once.
pub(crate) fn retire<A: Arch>(arena: Arc<ModelArena<A>>) {
    assert_eq!(arena.validate(), Ok(()));
    let extent = arena.layout().extent();
    let state = |page| arena.page_state(page).expect("in the extent");
    let mapped = |page: &PageIndex| matches!(state(*page), SlotState::Mapped(..) | SlotState::Deferred(..));
    let frames = extent.pages().filter(mapped).count();
    assert_eq!(arena.platform().frames_lent(), TABLE_FRAMES + frames, "a frame was lost");
    let arena = Arc::into_inner(arena).expect("all CPUs have joined");
    let destroyed = arena.destroy().unwrap();
    assert_eq!(destroyed.platform.frames_lent(), 0);
    // SAFETY: `start` leaked it, and the arena has given it back.
    drop(unsafe { Box::from_raw(destroyed.metadata) });
}

/// One page for the kernel.
pub(crate) fn one_page(context: Context) -> AllocRequest {
    AllocRequest::new(PageCount::ONE, Owner::Kernel).in_context(context)
}

/// What the CPU reports when an access to `page` has no translation.
pub(crate) fn fault_at<A: Arch>(arena: &ModelArena<A>, page: PageIndex) -> Fault {
    // Not by a pointer: page 0 has none, and may be accessed all the same.
    let address = KernelAddr::new(arena.layout().base().value() + u64::from(page.number()) * PAGE_SIZE);
    Fault { address, access: Access::Write, instruction: InstructionAddr::new(0x1000) }
}

/// An access that the kernel never meant to make, with its fault, if there is one, handled and retried at most once:
/// what it has read.
pub(crate) fn wild_load<A: Arch>(arena: &ModelArena<A>, page: PageIndex) -> Option<Reached> {
    arena
        .platform()
        .load(page)
        .or_else(|_| {
            assert_ne!(arena.handle_kernel_fault(&fault_at(arena, page)), FaultOutcome::NotOurs);
            arena.platform().load(page)
        })
        .ok()
}

/// Whoever has allocated the page for the kernel finds it as [`own_as`] says.
pub(crate) fn own<A: Arch>(arena: &ModelArena<A>, pages: PageRange, value: u64) {
    own_as(arena, Owner::Kernel, pages.first(), value);
}

/// Whoever has allocated the page finds it zeroed, through his own CPU, and every TLB knows no other frame for it (I2), in
/// either view.
pub(crate) fn own_as<A: Arch>(arena: &ModelArena<A>, owner: Owner, page: PageIndex, value: u64) {
    let state = arena.page_state(page);
    let Some(SlotState::Mapped(frame, theirs)) = state else { panic!("{page:?} was allocated: {state:?}") };
    assert_eq!(theirs, owner, "{page:?}");
    arena.platform().assert_no_tlb_differs(page, frame);
    assert_eq!(arena.platform().load(page), Ok(Reached::Page(0)), "a new page is zero");
    assert_eq!(arena.platform().store(page, value), Ok(Reached::Page(value)));
}

/// Every CPU reads `value` in the page, and without a fault.
pub(crate) fn all_read<A: Arch>(arena: &ModelArena<A>, page: PageIndex, value: u64) {
    for cpu in 0..CPUS {
        on_cpu(cpu, || assert_eq!(arena.platform().load(page), Ok(Reached::Page(value)), "on CPU {cpu}"));
    }
}
