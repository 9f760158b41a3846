//! What comes late: a mark, after a fault that is held up between the scratch page and it; and an exchange, after others' bits.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::arch::{Arch, Leaf, TableReach, UnsupportedCpu};
use kernel_arena::kit::{Parts, ProgramWindow, Unnamed, Window};
use kernel_arena::platform::{CpuCount, EntryAttributes, FixedOffset, FlushScope, Frame, Shootdown};
use kernel_arena::sync::AtomicU64;
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
    /// Somebody sets bits in the next entry that is to be emptied, just before.
    static SETS: Cell<bool> = const { Cell::new(false) };
    static ARENA: Cell<Option<&'static Arena<Kernel, Slow>>> = const { Cell::new(None) };
}

/// What a kernel may set in an entry for itself: the processor ignores it.
const ITS_OWN: u64 = 1 << 9;

/// x86_64, on which a while passes after a fault has installed scratch, and between a look at an entry and its exchange.
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
    fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
        if new == 0 && SETS.take() {
            slot.fetch_or(ITS_OWN, Ordering::Relaxed);
        }
        X86_64::compare_exchange(slot, old, new)
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

/// An arena, which this thread's functions find, and the memory that its kernel has.
fn create() -> &'static Memory {
    let memory: &'static Memory = Box::leak(Box::new(Memory::of(64)));
    let (_, root) = memory.root(48);
    // SAFETY: the root and what is below are tables of this test's, at the map's addresses.
    let window = unsafe { Window::link_below(root, &LAYOUT, memory, &map()) }.unwrap();
    // SAFETY: a process; the entries are this arena's alone.
    let kernel = unsafe { Parts::new(memory, map(), Nobody, Unnamed::new(CpuCount::ONE), window) };
    let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    ARENA.set(Some(Box::leak(Box::new(Arena::new(kernel, LAYOUT, metadata).unwrap()))));
    memory
}

fn fault_at(page: u32) -> Fault {
    let address = KernelAddr::new(LAYOUT.base().value() + u64::from(page) * 4096);
    Fault { address, access: Access::Write, instruction: InstructionAddr::new(0) }
}

/// The fault of a program that follows may not wait, and need not: a mark is a hint, and the slot says that there is no scratch.
#[test]
fn a_mark_that_came_late_keeps_no_program_from_its_page() {
    let memory = create();
    let (_, root) = memory.root(48);
    // SAFETY: as above.
    let entries =
        unsafe { ProgramWindow::<Slow>::link_below(root, ProgramAddr::new(BASE), &LAYOUT, memory, &map()) }.unwrap();
    let view = arena().attach_view(entries, ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap();

    MEANWHILE.set(Some(alloc_and_free));
    assert_eq!(arena().handle_kernel_fault(&fault_at(PAGE)), FaultOutcome::Recovered);
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

/// The mark is gone then: a link that stayed would be nobody's to take away.
#[test]
fn a_region_whose_entry_is_written_to_while_it_heals_is_healed() {
    create();
    assert_eq!(arena().handle_kernel_fault(&fault_at(5000)), FaultOutcome::Recovered);
    assert_eq!(arena().stats().tainted_regions, 1);
    SETS.set(true);
    assert_eq!(arena().reclaim().healed_regions, 1);
    assert!(!SETS.get(), "an entry was emptied");
    assert_eq!(arena().stats().tainted_regions, 0);
    assert_eq!(arena().handle_kernel_fault(&fault_at(5000)), FaultOutcome::Recovered);
    assert_eq!(arena().stats().tainted_regions, 1, "nothing was left of the link");
}
