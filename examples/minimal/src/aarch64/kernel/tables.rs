//! The page table: one of 512 entries, 39 bits of address in the lower half (TTBR0), and none in the upper.
//!
//! Its first entry maps the gibibyte of devices, its second RAM, both where they are; it can be written while the kernel runs.

use core::sync::atomic::AtomicU64;

use aarch64_rt::{DEFAULT_MAIR, DEFAULT_SCTLR, DEFAULT_TCR};

/// Descriptor bits (Arm ARM D8.3): a block that is valid and accessed, of device memory (`AttrIndx` 0 of `DEFAULT_MAIR`) or
/// of normal memory, inner shareable (`AttrIndx` 1).
const BLOCK: u64 = 0b01 | 1 << 10;
const DEVICE: u64 = BLOCK | 1 << 53 | 1 << 54;
const NORMAL: u64 = BLOCK | 1 << 2 | 0b11 << 8;

#[repr(C, align(4096))]
struct Table([AtomicU64; 512]);

static ROOT: Table = {
    let mut entries = [const { AtomicU64::new(0) }; 512];
    entries[0] = AtomicU64::new(DEVICE);
    entries[1] = AtomicU64::new(0x4000_0000 | NORMAL);
    Table(entries)
};

aarch64_rt::enable_mmu!(ROOT, DEFAULT_MAIR, DEFAULT_SCTLR, DEFAULT_TCR);
