//! The page tables, complete at link time.
//!
//! | addresses | what |
//! |---|---|
//! | 0 .. 18 MiB | the kernel's image where it was linked, each part with its permissions (`link/kernel.ld`) |
//! | [`PHYSICAL_MAP`] + 0 .. 512 MiB | all RAM: read, write, never execute |
//! | root entry 288 | the windows; empty until lent |
//!
//! All are 4-level, 4 KiB tables (Intel SDM vol. 3, 5.5.4); the address width stays 48 bits. Each
//! entry carries *accessed*, each leaf *dirty* too, so that the processor never writes to them.
//! Nothing is global, nothing is for user mode: the root entry of the windows bars user mode and
//! execution from all that is ever linked below it.

use core::arch::global_asm;
use core::sync::atomic::AtomicU64;

use kernel_arena::AddressWidth;

use crate::layout::{FIRST_WINDOW_ENTRY, RAM_BYTES, WINDOW_COUNT, WINDOW_STRIDE};

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
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
/// In a directory: the entry maps 2 MiB.
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

const TABLE: u64 = PRESENT | WRITABLE | ACCESSED;
const CONSTANTS: u64 = PRESENT | ACCESSED | DIRTY | LARGE | NO_EXECUTE;
const TEXT: u64 = PRESENT | ACCESSED | DIRTY | LARGE;
const DATA: u64 = CONSTANTS | WRITABLE;

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
    ".balign 4096",
    ".global page_table_root",
    "page_table_root:",
    ".quad image_pointers + {TABLE}",
    ".fill 255, 8, 0",
    ".quad ram_pointers + {TABLE_NX}",
    ".fill {WINDOW_ROOT_ENTRY} - 257, 8, 0",
    ".quad window_pointers + {TABLE_NX}",
    ".balign 4096",
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
    "ram_pages 1, {DATA}",
    ".balign 4096",
    "ram_pointers:",
    ".quad ram_directory + {TABLE}",
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
    ".popsection",
    TABLE = const TABLE,
    TABLE_NX = const TABLE | NO_EXECUTE,
    TEXT = const TEXT,
    CONSTANTS = const CONSTANTS,
    DATA = const DATA,
    RAM_PAGES = const RAM_BYTES >> 21,
    WINDOW_ROOT_ENTRY = const WINDOW_ROOT_ENTRY,
    FIRST_WINDOW_ENTRY = const FIRST_WINDOW_ENTRY,
    WINDOW_COUNT = const WINDOW_COUNT,
    WINDOW_STRIDE = const WINDOW_STRIDE,
);

unsafe extern "C" {
    /// The table of 512 entries of 1 GiB that holds the windows.
    #[link_name = "window_pointers"]
    pub(crate) safe static WINDOW_TABLE: [AtomicU64; 512];

    /// The directories behind the windows, for the upper guards.
    #[link_name = "window_guards"]
    pub(crate) safe static GUARD_DIRECTORIES: [[AtomicU64; 512]; WINDOW_COUNT];
}
