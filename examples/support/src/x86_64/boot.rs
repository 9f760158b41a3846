//! From QEMU's loader to Rust.
//!
//! `qemu-system-x86_64 -kernel` takes an ELF file with a Xen note of type 18, and enters at the
//! address in it by the PVH protocol: 32-bit protected mode, flat segments, paging off, EBX points
//! to the start information. The page tables exist already (`tables`), so all there is to do is
//! switch: PAE, the tables' root, long mode with no-execute, paging with write protection, and a
//! jump into a 64-bit code segment (Intel SDM vol. 3, 11.8.5).

use core::arch::global_asm;
use core::cell::UnsafeCell;

use super::start;

/// Size of the boot stack, in bytes.
const STACK_BYTES: usize = 256 << 10;

#[repr(C, align(4096))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: only the boot code uses it, as the stack of the boot CPU.
unsafe impl Sync for Stack {}

#[unsafe(link_section = ".stack.boot_stack")]
static BOOT_STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// CR4.PAE (Intel SDM vol. 3, 2.5).
const CR4_PAE: u32 = 1 << 5;
/// The MSR with LME and NXE (Intel SDM vol. 3, 2.2.1).
const IA32_EFER: u32 = 0xc000_0080;
const EFER_LME: u32 = 1 << 8;
const EFER_NXE: u32 = 1 << 11;
/// CR0: PE, MP, ET, NE, WP, PG (Intel SDM vol. 3, 2.5).
const CR0: u32 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 31;

global_asm!(
    ".pushsection .note.Xen, \"a\", @note",
    ".balign 4",
    ".long 4, 4, 18", // sizes of name and description, type XEN_ELFNOTE_PHYS32_ENTRY
    ".asciz \"Xen\"",
    ".long _start32",
    ".popsection",
    ".pushsection .init.entry, \"ax\"",
    ".code32",
    ".global _start32",
    "_start32:",
    "cli",
    "cld",
    "mov ecx, {CR4_PAE}",
    "mov cr4, ecx",
    "mov ecx, offset page_table_root",
    "mov cr3, ecx",
    "mov ecx, {IA32_EFER}",
    "rdmsr",
    "or eax, {EFER}",
    "wrmsr",
    "mov ecx, {CR0}",
    "mov cr0, ecx",
    "mov esp, offset {stack} + {STACK_BYTES}",
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
    "mov fs, eax",
    "mov gs, eax",
    "mov esp, offset {stack} + {STACK_BYTES}",
    "xor ebp, ebp",
    "mov edi, ebx",
    "call {start}",
    "ud2",
    ".balign 8",
    "boot_segments:",
    ".quad 0",
    ".quad 0x00af9b000000ffff", // 64-bit code (Intel SDM vol. 3, 3.4.5)
    "boot_segments_place:",
    ".word 15", // limit
    ".long boot_segments",
    ".popsection",
    CR4_PAE = const CR4_PAE,
    IA32_EFER = const IA32_EFER,
    EFER = const EFER_LME | EFER_NXE,
    CR0 = const CR0,
    STACK_BYTES = const STACK_BYTES,
    stack = sym BOOT_STACK,
    start = sym start,
);
