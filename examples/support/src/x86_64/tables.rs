//! The page tables, complete at link time.
//!
//! | addresses | what |
//! |---|---|
//! | 0 .. 20 MiB | the kernel's image where it was linked, each part with its permissions (`link/kernel.ld`) |
//! | [`PHYSICAL_MAP`] + 0 .. 512 MiB | all RAM: read, write, never execute |
//! | [`PHYSICAL_MAP`] + 0xfee0_0000, 2 MiB | the local APIC, uncached |
//! | root entry 288 | the windows; empty until lent |
//!
//! All are 4-level, 4 KiB tables (Intel SDM vol. 3, 5.5.4); the address width stays 48 bits. Each
//! entry carries *accessed*, each leaf *dirty* too, so that the processor never writes to them.
//! Nothing is global, nothing is for user mode: the root entry of the windows bars user mode and
//! execution from all that is ever linked below it.

use core::arch::global_asm;
use core::sync::atomic::AtomicU64;

use kernel_arena::AddressWidth;

use crate::layout::{FIRST_WINDOW_ENTRY, MAX_CPUS, RAM_BYTES, STACK_PAGES, WINDOW_COUNT, WINDOW_STRIDE};

/// How many bits of an address are translated.
pub const ADDRESS_WIDTH: AddressWidth = AddressWidth::BITS_48;

/// Where physical address 0 is mapped: the first address of root entry 256.
pub const PHYSICAL_MAP: u64 = 0xffff_8000_0000_0000;

/// The root entry that leads to the windows' table.
const WINDOW_ROOT_ENTRY: u64 = 288;

/// The first address that the windows' table maps.
pub(crate) const WINDOW_TABLE_BASE: u64 = 0xffff_0000_0000_0000 | WINDOW_ROOT_ENTRY << 39;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
/// Together, in a leaf: uncached (PAT entry 3, Intel SDM vol. 3, 13.12.4).
const UNCACHED: u64 = 1 << 3 | 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// In a directory: the entry maps 2 MiB.
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

const TABLE: u64 = PRESENT | WRITABLE | ACCESSED;
const CONSTANTS: u64 = PRESENT | ACCESSED | DIRTY | LARGE | NO_EXECUTE;
const TEXT: u64 = PRESENT | ACCESSED | DIRTY | LARGE;
const DATA: u64 = CONSTANTS | WRITABLE;
const DEVICE: u64 = DATA | UNCACHED;
/// The same as `DATA`, for 4 KiB.
const PAGE: u64 = DATA & !LARGE;

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
    ".quad image_pointers + {TABLE}",
    ".fill 255, 8, 0",
    ".quad ram_pointers + {TABLE_NX}",
    ".fill {WINDOW_ROOT_ENTRY} - 257, 8, 0",
    ".quad window_pointers + {TABLE_NX}",
    ".balign 4096",
    ".global image_pointers",
    "image_pointers:",
    ".quad image_directory + {TABLE}",
    ".balign 4096",
    "image_directory:", // the parts of link/kernel.ld
    ".set ram_address, 0",
    "ram_skip",
    "ram_pages 2, {TEXT}",
    "ram_pages 1, {CONSTANTS}",
    "ram_pages 3, {DATA}",
    "ram_skip",
    ".quad stack_pages + {TABLE}",
    ".quad stack_pages + 4096 + {TABLE}",
    ".balign 4096",
    "stack_pages:", // each CPU's, guard, exception stack, guard, stack
    ".set ram_address, 0x1000000",
    ".rept {MAX_CPUS}",
    "ram_hole {GUARD_1}",
    "ram_page {STACK_1}, {PAGE}",
    "ram_hole {GUARD_2}",
    "ram_page {STACK_2}, {PAGE}",
    ".endr",
    ".balign 4096",
    "ram_pointers:",
    ".quad ram_directory + {TABLE}",
    ".fill 2, 8, 0",
    ".quad device_directory + {TABLE}",
    ".balign 4096",
    "device_directory:", // of the fourth gibibyte
    ".fill ({APIC_ADDRESS} - 0xc0000000) >> 21, 8, 0",
    ".quad {APIC_ADDRESS} + {DEVICE}",
    ".balign 4096",
    "ram_directory:",
    ".set ram_address, 0",
    "ram_pages {RAM_PAGES}, {DATA}",
    ".balign 4096",
    ".global window_pointers",
    "window_pointers:",
    ".set guard_address, window_guards",
    ".fill {FIRST_WINDOW_ENTRY}, 8, 0",
    ".rept {WINDOW_COUNT}",
    ".fill 4, 8, 0",
    ".quad guard_address + {TABLE}",
    ".fill {WINDOW_STRIDE} - 5, 8, 0",
    ".set guard_address, guard_address + 4096",
    ".endr",
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
    TABLE_NX = const TABLE | NO_EXECUTE,
    TEXT = const TEXT,
    CONSTANTS = const CONSTANTS,
    DATA = const DATA,
    DEVICE = const DEVICE,
    APIC_ADDRESS = const super::apic::ADDRESS,
    PAGE = const PAGE,
    MAX_CPUS = const MAX_CPUS,
    GUARD_1 = const STACK_PAGES[0],
    STACK_1 = const STACK_PAGES[1],
    GUARD_2 = const STACK_PAGES[2],
    STACK_2 = const STACK_PAGES[3],
    RAM_PAGES = const RAM_BYTES >> 21,
    WINDOW_ROOT_ENTRY = const WINDOW_ROOT_ENTRY,
    FIRST_WINDOW_ENTRY = const FIRST_WINDOW_ENTRY,
    WINDOW_COUNT = const WINDOW_COUNT,
    WINDOW_STRIDE = const WINDOW_STRIDE,
);

unsafe extern "C" {
    #[link_name = "page_table_root"]
    safe static ROOT: [AtomicU64; 512];

    #[link_name = "image_pointers"]
    safe static IMAGE_GIBIBYTES: [AtomicU64; 512];

    /// The table of 512 entries of 1 GiB that holds the windows.
    #[link_name = "window_pointers"]
    pub(crate) safe static WINDOW_TABLE: [AtomicU64; 512];

    /// The directories behind the windows, for the upper guards.
    #[link_name = "window_guards"]
    pub(crate) safe static GUARD_DIRECTORIES: [[AtomicU64; 512]; WINDOW_COUNT];
}

/// The entries of the kernel's root.
pub(super) fn root_entries() -> &'static [AtomicU64; 512] {
    &ROOT
}

/// The entries of the table that leads to the kernel's image.
pub(super) fn image_gibibytes() -> &'static [AtomicU64; 512] {
    &IMAGE_GIBIBYTES
}
