//! The page tables, complete at link time.
//!
//! | addresses | root | what |
//! |---|---|---|
//! | 0x0800_0000, 2 MiB | TTBR0 | the interrupt controller, as a device |
//! | 0x0900_0000, 2 MiB | TTBR0 | the serial port and the firmware's configuration, as devices |
//! | 0x4000_0000 + 0 .. 20 MiB | TTBR0 | the kernel's image where it was linked, each part with its permissions (`link/kernel.ld`) |
//! | [`PHYSICAL_MAP`] + 0x4000_0000 + 0 .. 512 MiB | TTBR1 | all RAM: read, write, never execute |
//! | [`PHYSICAL_MAP`] + 264 GiB and on | TTBR1 | the windows; empty until lent |
//!
//! Both halves have 39 bits of address, 4 KiB granules, and their root at level 1 (Arm ARM
//! D8.2). Leaves and tables carry the access flag. Leaves are global, a thing that suits the
//! kernel's own and not those of a window.

use core::arch::global_asm;
use core::sync::atomic::AtomicU64;

use aarch64_rt::{DEFAULT_MAIR, DEFAULT_SCTLR, DEFAULT_TCR};
use kernel_arena::AddressWidth;

use super::RAM_BASE;
use crate::layout::{FIRST_WINDOW_ENTRY, MAX_CPUS, RAM_BYTES, STACK_PAGES, WINDOW_COUNT, WINDOW_STRIDE};

/// How many bits of an address are translated.
pub const ADDRESS_WIDTH: AddressWidth = AddressWidth::of_halves(39).unwrap();

/// Where physical address 0 would be mapped: the first address of the upper half.
pub const PHYSICAL_MAP: u64 = 0xffff_ff80_0000_0000;

/// The first address that the windows' table maps.
pub(crate) const WINDOW_TABLE_BASE: u64 = PHYSICAL_MAP;

/// The bits that a leaf entry for RAM carries besides address and permissions, to have the memory
/// type of the map of physical memory: `AttrIndx` 1, which MAIR_EL1 makes normal write-back
/// memory, and inner shareable (Arm ARM D8.6).
pub const LEAF_ATTRIBUTES: u64 = 1 << 2 | 0b11 << 8;

/// Descriptor bits (Arm ARM D8.3).
const VALID: u64 = 1;
const TABLE_TYPE: u64 = 1 << 1;
const PAGE_TYPE: u64 = 1 << 1;
const READ_ONLY: u64 = 1 << 7;
const ACCESSED: u64 = 1 << 10;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
/// `APTable[0]`: no access from EL0 to anything below.
const NO_USER_TABLE: u64 = 1 << 61;

const TABLE: u64 = VALID | TABLE_TYPE | ACCESSED;
const KERNEL_TABLE: u64 = TABLE | PXN_TABLE | UXN_TABLE | NO_USER_TABLE;
/// `AttrIndx` 0 is device memory.
const DEVICE: u64 = VALID | ACCESSED | PXN | UXN;
const DATA: u64 = DEVICE | LEAF_ATTRIBUTES;
const CONSTANTS: u64 = DATA | READ_ONLY;
const TEXT: u64 = CONSTANTS & !PXN;
/// The same as `DATA`, for 4 KiB.
const PAGE: u64 = DATA | PAGE_TYPE;

/// TCR_EL1 (Arm ARM D24.2): the same for the upper half as `aarch64-rt` has for the lower one,
/// that is T1SZ for 39 bits, and walks that are write-back and inner shareable. Walks of the
/// upper half stay disabled (EPD1) until TTBR1_EL1 is set. HPD0 and HPD1 stay 0: what a table
/// descriptor forbids is forbidden.
const TCR: u64 = DEFAULT_TCR | 25 << 16 | 0b01 << 24 | 0b01 << 26 | 0b11 << 28;

/// SCTLR_EL1.SPAN off: taking an exception sets PSTATE.PAN (Arm ARM D24.2).
const SCTLR: u64 = DEFAULT_SCTLR & !(1 << 23);

unsafe extern "C" {
    /// The root of the lower half.
    #[link_name = "page_table_root"]
    safe static LOWER_ROOT: [u64; 512];
}

aarch64_rt::enable_mmu!(LOWER_ROOT, DEFAULT_MAIR, SCTLR, TCR);

global_asm!(
    ".pushsection .data.page_tables, \"aw\"",
    // Entries for `count` pieces of 2 MiB of RAM, from where the last one ended.
    ".macro ram_pages count, flags",
    ".rept \\count",
    ".quad ram_address + \\flags",
    ".set ram_address, ram_address + 0x200000",
    ".endr",
    ".endm",
    ".macro ram_skip",
    ".quad 0",
    ".set ram_address, ram_address + 0x200000",
    ".endm",
    ".macro ram_page count, flags",
    ".rept \\count",
    ".quad ram_address + \\flags",
    ".set ram_address, ram_address + 0x1000",
    ".endr",
    ".endm",
    ".macro ram_hole count",
    ".fill \\count, 8, 0",
    ".set ram_address, ram_address + \\count * 0x1000",
    ".endm",
    ".balign 4096",
    ".global page_table_root",
    "page_table_root:",
    ".quad device_directory + {TABLE}",
    ".quad image_directory + {TABLE}",
    ".balign 4096",
    "device_directory:",
    ".fill {GIC_ADDRESS} >> 21, 8, 0",
    ".quad {GIC_ADDRESS} + {DEVICE}",
    ".fill (({UART_ADDRESS} - {GIC_ADDRESS}) >> 21) - 1, 8, 0",
    ".quad {UART_ADDRESS} + {DEVICE}",
    ".balign 4096",
    "image_directory:", // the parts of link/kernel.ld
    ".set ram_address, {RAM_BASE}",
    "ram_skip",
    "ram_pages 2, {TEXT}",
    "ram_pages 1, {CONSTANTS}",
    "ram_pages 3, {DATA}",
    "ram_skip",
    ".quad stack_pages + {TABLE}",
    ".quad stack_pages + 4096 + {TABLE}",
    ".balign 4096",
    "stack_pages:", // each CPU's, guard, exception stack, guard, stack
    ".set ram_address, {RAM_BASE} + 0x1000000",
    ".rept {MAX_CPUS}",
    "ram_hole {GUARD_1}",
    "ram_page {STACK_1}, {PAGE}",
    "ram_hole {GUARD_2}",
    "ram_page {STACK_2}, {PAGE}",
    ".endr",
    ".balign 4096",
    ".global upper_root",
    "upper_root:",
    ".quad 0",
    ".quad ram_directory + {KERNEL_TABLE}",
    ".fill {FIRST_WINDOW_ENTRY} - 2, 8, 0",
    ".set guard_address, window_guards",
    ".rept {WINDOW_COUNT}",
    ".fill 4, 8, 0",
    ".quad guard_address + {KERNEL_TABLE}",
    ".fill {WINDOW_STRIDE} - 5, 8, 0",
    ".set guard_address, guard_address + 4096",
    ".endr",
    ".balign 4096",
    "ram_directory:",
    ".set ram_address, {RAM_BASE}",
    "ram_pages {RAM_PAGES}, {DATA}",
    ".balign 4096",
    ".global window_guards",
    "window_guards:",
    ".fill {WINDOW_COUNT} * 512, 8, 0",
    ".purgem ram_pages",
    ".purgem ram_skip",
    ".purgem ram_page",
    ".purgem ram_hole",
    ".popsection",
    TABLE = const TABLE,
    KERNEL_TABLE = const KERNEL_TABLE,
    DEVICE = const DEVICE,
    TEXT = const TEXT,
    CONSTANTS = const CONSTANTS,
    DATA = const DATA,
    PAGE = const PAGE,
    MAX_CPUS = const MAX_CPUS,
    GUARD_1 = const STACK_PAGES[0],
    STACK_1 = const STACK_PAGES[1],
    GUARD_2 = const STACK_PAGES[2],
    STACK_2 = const STACK_PAGES[3],
    GIC_ADDRESS = const super::gic::ADDRESS,
    UART_ADDRESS = const super::uart::ADDRESS,
    RAM_BASE = const RAM_BASE,
    RAM_PAGES = const RAM_BYTES >> 21,
    FIRST_WINDOW_ENTRY = const FIRST_WINDOW_ENTRY,
    WINDOW_COUNT = const WINDOW_COUNT,
    WINDOW_STRIDE = const WINDOW_STRIDE,
);

unsafe extern "C" {
    /// The table of 512 entries of 1 GiB that holds the windows: the root of the upper half.
    #[link_name = "upper_root"]
    pub(crate) safe static WINDOW_TABLE: [AtomicU64; 512];

    /// The directories behind the windows, for the upper guards.
    #[link_name = "window_guards"]
    pub(crate) safe static GUARD_DIRECTORIES: [[AtomicU64; 512]; WINDOW_COUNT];
}

/// The entries of the lower half's root.
pub(super) fn lower_root() -> &'static [u64; 512] {
    &LOWER_ROOT
}
