//! A fault of the kernel's that is held up between the scratch page and its mark, which then comes late.

use std::cell::Cell;

use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::arch::{Arch, Leaf, TableReach, UnsupportedCpu};
use kernel_arena::kit::{Parts, ProgramWindow, Unnamed, Window};
use kernel_arena::platform::{CpuCount, EntryAttributes, FixedOffset, FlushScope, Frame, Shootdown};
use kernel_arena::views::{FaultPolicy, ProgramAccess, ProgramFault, ProgramFaultOutcome, ViewRights};
use kernel_arena::{
    Access, AddressRange, AddressWidth, AllocRequest, Arena, ArenaLayout, ArenaPtr, Fault, FaultOutcome,
    InstructionAddr, KernelAddr, Owner, PageCount, PageIndex, ProgramAddr, SlotState,
};

use super::memory::{Memory, map};

const LAYOUT: ArenaLayout = ArenaLayout::fixed(0xffff_9010_0000_0000, AddressWidth::BITS_48, 16).with_views(1);
const BASE: u64 = 0x0000_0010_0000_0000;
const PAGE: u32 = 5;

thread_local! {
    /// What goes on meanwhile, on another CPU.
    static MEANWHILE: Cell<Option<fn()>> = const { Cell::new(None) };
    static ARENA: Cell<Option<&'static Arena<Kernel, Slow>>> = const { Cell::new(None) };
}

/// x86_64, on which a while passes after a fault has installed scratch.
struct Slow;

// SAFETY: the format is another's.
unsafe impl Arch for Slow {
    const NAME: &'static str = X86_64::NAME;
    const BREAK_BEFORE_MAKE: bool = X86_64::BREAK_BEFORE_MAKE;
    const LEAF_ATTRIBUTES: u64 = X86_64::LEAF_ATTRIBUTES;
    const TABLE_ATTRIBUTES: u64 = X86_64::TABLE_ATTRIBUTES;

    fn leaf(leaf: Leaf, attributes: EntryAttributes) -> u64 {
        X86_64::leaf(leaf, attributes)
    }
    fn decode_leaf(word: u64, attributes: EntryAttributes) -> Option<Leaf> {
        X86_64::decode_leaf(word, attributes)
    }
    fn table(table: Frame, reach: TableReach, attributes: EntryAttributes) -> u64 {
        X86_64::table(table, reach, attributes)
    }
    fn decode_table(word: u64, attributes: EntryAttributes) -> Option<Frame> {
        X86_64::decode_table(word, attributes)
    }
    fn check_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        X86_64::check_cpu(layout)
    }
    fn publish() {
        if let Some(meanwhile) = MEANWHILE.take() {
            meanwhile();
        }
    }
}

/// No TLB is behind these tables.
struct Nobody;

impl Shootdown for Nobody {
    fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {}
}

type Kernel = Parts<&'static Memory, FixedOffset, Nobody, Unnamed, Window<Slow>>;

fn at() -> ArenaPtr {
    ArenaPtr::new(PAGE << 12).unwrap()
}

fn arena() -> &'static Arena<Kernel, Slow> {
    ARENA.get().unwrap()
}

/// Takes the page for itself, which heals it and finds no mark to clear, and gives it back.
fn alloc_and_free() {
    arena().alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(at())).unwrap();
    arena().free_pages(at(), PageCount::ONE, Owner::Program).unwrap();
}

/// The fault of a program that follows may not wait, and need not: a mark is a hint, and the slot says that there is no scratch.
#[test]
fn a_mark_that_came_late_keeps_no_program_from_its_page() {
    let memory: &'static Memory = Box::leak(Box::new(Memory::of(64)));
    let (_, root) = memory.root(48);
    // SAFETY: the root and what is below are tables of this test's, at the map's addresses.
    let window = unsafe { Window::link_below(root, &LAYOUT, memory, &map()) }.unwrap();
    // SAFETY: a process; the entries are this arena's alone.
    let kernel = unsafe { Parts::new(memory, map(), Nobody, Unnamed::new(CpuCount::ONE), window) };
    let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    ARENA.set(Some(Box::leak(Box::new(Arena::new(kernel, LAYOUT, metadata).unwrap()))));
    let (_, root) = memory.root(48);
    // SAFETY: as above.
    let entries =
        unsafe { ProgramWindow::<Slow>::link_below(root, ProgramAddr::new(BASE), &LAYOUT, memory, &map()) }.unwrap();
    let view = arena().attach_view(entries, ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap();

    MEANWHILE.set(Some(alloc_and_free));
    let address = KernelAddr::new(LAYOUT.base().value() + u64::from(at().offset()));
    let wild = Fault { address, access: Access::Write, instruction: InstructionAddr::new(0) };
    assert_eq!(arena().handle_kernel_fault(&wild), FaultOutcome::Recovered);
    let page = PageIndex::new(PAGE).unwrap();
    assert!(!arena().page_state(page).unwrap().is_present());
    assert_eq!(arena().stats().tainted_pages, 1, "its mark came late");

    let address = ProgramAddr::new(BASE + u64::from(at().offset()));
    let fault = ProgramFault { address, access: ProgramAccess::Write, instruction: InstructionAddr::new(0) };
    assert_eq!(arena().handle_program_fault(view.id(), &fault), ProgramFaultOutcome::PageGiven);
    assert!(matches!(arena().page_state(page), Some(SlotState::Mapped(_, Owner::Program))));
    // Nor is it taken away when the mark is looked at.
    arena().reclaim();
    assert!(matches!(arena().page_state(page), Some(SlotState::Mapped(_, Owner::Program))));
    let _ = arena().detach_view(view).unwrap();
}
