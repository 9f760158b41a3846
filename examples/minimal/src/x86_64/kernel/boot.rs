//! From QEMU to Rust: by a Xen note `qemu-system-x86_64 -kernel` finds the entry, which it calls in 32-bit protected mode with
//! paging off (PVH). From there to long mode is Intel SDM vol. 3, 11.8.5.
//!
//! The page tables map the first gibibyte twice, by pages of 2 MiB: at 0, where the kernel is linked, and at [`PHYSICAL_MAP`].

use core::arch::global_asm;

/// Where physical address 0 is mapped: root entry 256.
pub const PHYSICAL_MAP: u64 = 0xffff_8000_0000_0000;

/// CR4.PAE, and the bits of CR0 and EFER that matter to an arena: CR0.WP, EFER.NXE (Intel SDM vol. 3, 2.5 and 2.2.1).
const CR4_PAE: u32 = 1 << 5;
const CR0: u32 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 31;
const EFER_MSR: u32 = 0xc000_0080;
const EFER_LME_NXE: u32 = 1 << 8 | 1 << 11;

/// Present and writable; in a directory 2 MiB large; never to be executed (Intel SDM vol. 3, 5.5.4).
const TABLE: u64 = 0b11;
const LARGE: u64 = TABLE | 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

global_asm!(
    ".pushsection .note.Xen, \"a\", @note",
    ".balign 4",
    ".long 4, 4, 18", // sizes of name and description, type XEN_ELFNOTE_PHYS32_ENTRY
    ".asciz \"Xen\"",
    ".long _start32",
    ".popsection",
    ".pushsection .text.start32, \"ax\"",
    ".code32",
    ".global _start32",
    "_start32:",
    "cli",
    "cld",
    "mov esp, offset boot_stack_end",
    "mov eax, {CR4_PAE}",
    "mov cr4, eax",
    "mov eax, offset page_table_root",
    "mov cr3, eax",
    "mov ecx, {EFER_MSR}",
    "rdmsr",
    "or eax, {EFER_LME_NXE}",
    "wrmsr",
    "mov eax, {CR0}",
    "mov cr0, eax",
    "mov eax, offset boot_segments_place",
    "lgdt [eax]",
    "push 8",
    "mov eax, offset start64",
    "push eax",
    "retf",
    ".code64",
    "start64:",
    "xor eax, eax",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "mov esp, esp", // clears the upper half
    "mov edi, ebx",
    "xor ebp, ebp",
    "call {start}",
    "ud2",
    ".balign 8",
    "boot_segments:",
    ".quad 0, 0x00af9b000000ffff", // 8: 64-bit code
    "boot_segments_place:",
    ".word 15",
    ".long boot_segments",
    ".popsection",
    ".pushsection .data.page_tables, \"aw\"",
    ".balign 4096",
    "page_table_root:",
    ".quad pointers + {TABLE}",
    ".fill 255, 8, 0",
    ".quad pointers + {TABLE_NO_EXECUTE}",
    ".fill 255, 8, 0",
    "pointers:",
    ".quad directory + {TABLE}",
    ".fill 511, 8, 0",
    "directory:",
    ".set address, 0",
    ".rept 512",
    ".quad address + {LARGE}",
    ".set address, address + 0x200000",
    ".endr",
    ".popsection",
    ".pushsection .bss.boot_stack, \"aw\", @nobits",
    ".balign 16",
    ".global boot_stack_begin",
    "boot_stack_begin:",
    ".skip 65536",
    "boot_stack_end:",
    ".popsection",
    CR4_PAE = const CR4_PAE,
    CR0 = const CR0,
    EFER_MSR = const EFER_MSR,
    EFER_LME_NXE = const EFER_LME_NXE,
    TABLE = const TABLE,
    TABLE_NO_EXECUTE = const TABLE | NO_EXECUTE,
    LARGE = const LARGE,
    start = sym super::start,
);
