//! An arena is not created where no walker comes by its entries, nor where its memory would be of another kind.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::arch::{Arch, Leaf, MemoryTypeError, Root, TableReach, UnsupportedCpu, WalkEnd};
use kernel_arena::kit::{LinkError, Parts, Window};
use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel, EntryAttributes, FixedOffset, Frame, PhysMap};
use kernel_arena::sync::AtomicU64;
use kernel_arena::{
    Access, AddressWidth, Arena, ArenaLayout, CreateError, Fault, FaultOutcome, InstructionAddr, KernelAddr, VirtAddr,
    WINDOW_SIZE,
};

use super::memory::{Flushes, Memory, entries, map};

const BASE: u64 = 0xffff_9010_0000_0000;
const LAYOUT: ArenaLayout = ArenaLayout::fixed(BASE, AddressWidth::BITS_48, 1000);

thread_local! {
    /// What stands for CR3, and for IA32_PAT.
    static LOADED: Cell<Option<Root>> = const { Cell::new(None) };
    static MEMORY_TYPE: Cell<Result<(), MemoryTypeError>> = const { Cell::new(Ok(())) };
    /// What the CPU is called.
    static NAME: Cell<Option<u16>> = const { Cell::new(None) };
    /// What a walk comes to where the physical map has a table: that table, or not. And which was asked for last.
    static MAP_IS_TRUE: Cell<bool> = const { Cell::new(true) };
    static ASKED: Cell<Option<Frame>> = const { Cell::new(None) };
}

/// x86_64 with a root that is loaded.
struct Walked;

// SAFETY: the format is another's; what is loaded is what the test says.
unsafe impl Arch for Walked {
    const NAME: &'static str = X86_64::NAME;
    const BREAK_BEFORE_MAKE: bool = X86_64::BREAK_BEFORE_MAKE;
    const FAULTS_TELL_LEVELS: bool = X86_64::FAULTS_TELL_LEVELS;
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
    fn is_block(word: u64) -> bool {
        X86_64::is_block(word)
    }
    fn is_read_only(word: u64) -> bool {
        X86_64::is_read_only(word)
    }
    fn check_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        X86_64::check_cpu(layout)
    }
    fn check_memory_type(_: &ArenaLayout, _: EntryAttributes, _: NonNull<u8>) -> Result<(), MemoryTypeError> {
        MEMORY_TYPE.get()
    }
    fn loaded_root(_address: VirtAddr) -> Option<Root> {
        LOADED.get()
    }
    unsafe fn has_where_mapped(frame: Frame, _map: &impl PhysMap) -> bool {
        ASKED.set(Some(frame));
        MAP_IS_TRUE.get()
    }
}

struct Cpu;

impl CpuIdentity for Cpu {
    fn current(&self) -> Option<CpuLevel> {
        NAME.get().map(|number| CpuLevel { cpu: CpuId::new(number), level: 0 })
    }
    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

type Kernel = Parts<&'static Memory, FixedOffset, Flushes, Cpu, Window<Walked>>;

/// A kernel whose window is linked below a root that is loaded.
struct Site {
    memory: &'static Memory,
    root: Frame,
    kernel: Kernel,
}

fn site() -> Site {
    let memory: &'static Memory = Box::leak(Box::new(Memory::of(64)));
    let (root, loaded) = memory.root(48);
    LOADED.set(Some(loaded));
    // SAFETY: the root and what is below are tables of this test's, at the map's addresses.
    let window = unsafe { Window::link(&LAYOUT, memory, &map()) }.unwrap();
    // SAFETY: a process; the entries are this arena's alone.
    let kernel = unsafe { Parts::new(memory, map(), Flushes::default(), Cpu, window) };
    Site { memory, root, kernel }
}

fn create(kernel: Kernel) -> Result<Arena<Kernel, Walked>, CreateError> {
    let words = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    Ok(Arena::new(kernel, LAYOUT, words)?)
}

fn unreachable(address: u64, end: WalkEnd) -> CreateError {
    CreateError::UnsupportedCpu(UnsupportedCpu::Unreachable { address: VirtAddr::new(address), end })
}

/// The entry of this shift on the way to `address`.
fn entry(root: Frame, address: u64, shift: u32) -> &'static AtomicU64 {
    let mut table = root;
    let mut at = 39;
    loop {
        let entry = &entries(table)[(address >> at & 511) as usize];
        if at == shift {
            return entry;
        }
        table = Frame::new(entry.load(Ordering::Relaxed) & 0x000f_ffff_ffff_f000).unwrap();
        at -= 9;
    }
}

/// The last page of the first GiB: what is asked for first.
const FIRST: u64 = BASE + (1 << 30) - 4096;
const GUARD: u64 = BASE + WINDOW_SIZE;

/// A read of the kernel at this offset.
fn read(offset: u64) -> Fault {
    let address = KernelAddr::new(BASE + offset);
    Fault { address, access: Access::Read, instruction: InstructionAddr::new(0) }
}

#[test]
fn a_window_below_the_loaded_root_is_reached_until_the_arena_ends() {
    let site = site();
    let left = site.memory.left();
    let arena = create(site.kernel).unwrap();
    assert_eq!(arena.check_cpu(), Ok(()));
    let (_, other) = site.memory.root(48);
    LOADED.set(Some(other));
    let end = WalkEnd::Missing { shift: 39 };
    assert_eq!(arena.check_cpu(), Err(UnsupportedCpu::Unreachable { address: VirtAddr::new(FIRST), end }));
    // Its first access is recovered, for all the arena can see; the next has no other reason than the root.
    for offset in [0x5000, 1 << 31, WINDOW_SIZE] {
        assert_eq!(arena.handle_kernel_fault(&read(offset)), FaultOutcome::Recovered);
        assert_eq!(arena.handle_kernel_fault(&read(offset)), FaultOutcome::NotOurs, "{offset:#x}");
    }
    // SAFETY: a root of this test's.
    unsafe { arena.platform().lead_to_window(other) };
    assert_eq!(arena.check_cpu(), Ok(()));
    assert_eq!(arena.handle_kernel_fault(&read(0x5000)), FaultOutcome::Spurious, "as ever");
    let (memory, map, shootdown, _, window) = arena.destroy().unwrap().platform.into_parts();
    assert_eq!(memory.left(), left - 1, "but for the other root");
    // SAFETY: the arena is gone, and so is the other root.
    unsafe { window.unlink(memory, &map, &shootdown) }.unwrap();
    assert_eq!(memory.left(), left + 1);
}

/// It is asked for where the walk ends when the fault comes again, not for each page that somebody else was faster to map.
#[test]
fn a_cpu_with_a_name_is_told_of_its_root_when_the_fault_comes_again() {
    let site = site();
    let arena = create(site.kernel).unwrap();
    LOADED.set(Some(site.memory.root(48).1));
    for name in [Some(0), Some(1), None] {
        NAME.set(name);
        for offset in [0x5000, 1 << 31, WINDOW_SIZE] {
            let _ = arena.handle_kernel_fault(&read(offset));
            // A CPU of which the layout knows nothing shares a row with others: it is told at once, as one without a name is.
            let own = name == Some(0);
            for _ in 0..2 {
                if own {
                    assert_eq!(arena.handle_kernel_fault(&read(offset)), FaultOutcome::Spurious, "{offset:#x}");
                }
                assert_eq!(arena.handle_kernel_fault(&read(offset)), FaultOutcome::NotOurs, "{name:?} {offset:#x}");
            }
        }
    }
    NAME.set(None);
}

trait Roots {
    unsafe fn lead_to_window(&self, other: Root);
}

impl Roots for Kernel {
    unsafe fn lead_to_window(&self, other: Root) {
        use kernel_arena::Platform;
        // SAFETY: as the caller promises.
        unsafe { self.upper().link_into(other, &map()) }.unwrap();
    }
}

#[test]
fn creation_refuses_entries_that_no_walk_passes() {
    let missing = |shift| WalkEnd::Missing { shift };
    // Each damage, and what is said.
    type Damage = (&'static str, fn(&Site), u64, WalkEnd);
    let damages: [Damage; 6] = [
        ("another root", |site| LOADED.set(Some(site.memory.root(48).1)), FIRST, missing(39)),
        ("no guard", |site| entry(site.root, GUARD, 30).store(0, Ordering::Relaxed), GUARD, missing(30)),
        (
            "another table for the window",
            |site| {
                let table = site.memory.table().address();
                // As if these were other entries than those that are lent: the walk goes on, before anything is linked.
                LOADED.set(Some(copy_of_root_with(site, FIRST, table)));
            },
            FIRST,
            missing(21),
        ),
        ("memory", |site| LOADED.set(Some(copy_of_root_with(site, FIRST, 0x80))), FIRST, WalkEnd::Mapped),
        (
            "a read-only root",
            |site| {
                entry(site.root, FIRST, 39).fetch_and(!2, Ordering::Relaxed);
            },
            FIRST,
            WalkEnd::ReadOnly,
        ),
        (
            "a copy of the table with the lent entries",
            |site| {
                let upper = Frame::new(entry(site.root, FIRST, 39).load(Ordering::Relaxed) & !0xfff).unwrap();
                let copy = site.memory.table();
                for (to, from) in entries(copy).iter().zip(entries(upper)) {
                    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                entry(site.root, FIRST, 39).store(copy.address() | 3, Ordering::Relaxed);
            },
            FIRST,
            missing(30),
        ),
    ];
    for (what, damage, address, end) in damages {
        let site = site();
        damage(&site);
        let left = site.memory.left();
        let error = create(site.kernel).map(drop).unwrap_err();
        assert_eq!(error, unreachable(address, end), "{what}");
        assert_eq!(site.memory.left(), left, "{what}: frames came back");
        assert!(error.to_string().contains("loaded tables do not lead"), "{error}");
    }
}

/// A root of its own, whose 1 GiB entry for `address` is present and leads to `word`.
fn copy_of_root_with(site: &Site, address: u64, word: u64) -> Root {
    let (root, loaded) = site.memory.root(48);
    let upper = site.memory.table();
    entries(root)[(address >> 39 & 511) as usize].store(upper.address() | 3, Ordering::Relaxed);
    entries(upper)[(address >> 30 & 511) as usize].store(word | 3, Ordering::Relaxed);
    loaded
}

#[test]
fn creation_refuses_memory_of_another_kind() {
    let site = site();
    let left = site.memory.left();
    let device = MemoryTypeError::Device { index: 0, mair: 4 };
    MEMORY_TYPE.set(Err(device));
    let error = create(site.kernel).map(drop).unwrap_err();
    MEMORY_TYPE.set(Ok(()));
    assert_eq!(error, CreateError::UnsupportedCpu(UnsupportedCpu::MemoryType(device)));
    assert_eq!(error.to_string(), "AttrIndx 0 is device memory, take normal_memory(): MAIR_EL1 has 0x04 there");
    assert_eq!(site.memory.left(), left);
}

/// The table that is asked for is the loaded root's own, without an encryption bit that CR3 has.
#[test]
fn a_map_that_shows_other_memory_as_the_root_is_refused_before_anything_is_written() {
    let memory = Memory::of(16);
    let (table, _) = memory.root(48);
    for bit in [0, 1 << 51] {
        LOADED.set(Root::new(table.address() | bit, 48));
        // SAFETY: as `map`.
        let map = unsafe { FixedOffset::new(0, EntryAttributes { leaf: bit, table: bit }) };
        let left = memory.left();
        // SAFETY: the root is a table of this test's, at the map's address.
        let link = || unsafe { Window::<Walked>::link(&LAYOUT, &memory, &map) };
        MAP_IS_TRUE.set(false);
        assert_eq!(link().map(drop), Err(LinkError::WrongMap { address: VirtAddr::new(table.address()) }));
        assert_eq!(ASKED.take(), Some(table));
        MAP_IS_TRUE.set(true);
        assert_eq!(memory.left(), left);
        assert!(entries(table).iter().all(|entry| entry.load(Ordering::Relaxed) == 0));

        assert_eq!(link().unwrap().tables_made(), 2);
        assert_eq!(ASKED.take(), Some(table));
        entries(table).iter().for_each(|entry| entry.store(0, Ordering::Relaxed));
    }
}
