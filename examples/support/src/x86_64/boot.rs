//! From QEMU's loader to Rust, and from a SIPI to Rust.
//!
//! `qemu-system-x86_64 -kernel` takes an ELF file with a Xen note of type 18, and enters at the
//! address in it by the PVH protocol: 32-bit protected mode, flat segments, paging off, EBX points
//! to the start information. The page tables exist already (`tables`), so all there is to do is
//! switch: PAE, the tables' root, long mode with no-execute, paging with write protection, and a
//! jump into a 64-bit code segment (Intel SDM vol. 3, 11.8.5).
//!
//! The other CPUs start in real mode, in a page below 1 MiB, where [`trampoline`] is to be copied
//! (Intel SDM vol. 3, 10.4). It enters protected mode and jumps to where they number
//! themselves, in the order in which they come; from there on they take the boot CPU's way.

use core::arch::global_asm;

use super::{secondary, start};
use crate::layout::{CPU_STACKS_BYTES, MAX_CPUS, stack_end};

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
    "mov esp, {STACK_END}",
    "mov ebp, offset {start}",
    // Calls the function at EBP in long mode, with EBX as its argument, on the stack at ESP.
    "enter_long_mode:",
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
    // Writing 32 bits clears the upper ones, which the switch leaves undefined.
    "mov esp, esp",
    "mov edi, ebx",
    "mov eax, ebp",
    "xor ebp, ebp",
    "call rax",
    "ud2",
    ".code32",
    "secondary32:",
    "cld",
    "mov eax, 24",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "mov ebx, 1",
    "lock xadd dword ptr [next_cpu], ebx",
    "cmp ebx, {MAX_CPUS}",
    "jae 2f",
    "mov esp, ebx",
    "imul esp, esp, {CPU_STACKS_BYTES}",
    "add esp, {STACK_END}",
    "mov ebp, offset {secondary}",
    "jmp enter_long_mode",
    // One CPU too many: it sleeps, and no interrupt wakes it.
    "2:",
    "hlt",
    "jmp 2b",
    ".code64",
    ".balign 8",
    "boot_segments:", // Intel SDM vol. 3, 3.4.5
    ".quad 0",
    ".quad 0x00af9b000000ffff", // 8: 64-bit code
    ".quad 0x00cf9b000000ffff", // 16: 32-bit code
    ".quad 0x00cf93000000ffff", // 24: data
    "boot_segments_place:",
    ".word 31", // limit
    ".long boot_segments",
    ".popsection",
    ".pushsection .data.next_cpu, \"aw\"",
    ".balign 4",
    "next_cpu:",
    ".long 1",
    ".popsection",
    // The trampoline: it runs as a copy, at the start of whatever segment CS says.
    ".pushsection .rodata.trampoline, \"a\"",
    ".code16",
    ".global trampoline_begin",
    "trampoline_begin:",
    "cli",
    "mov ax, cs",
    "mov ds, ax",
    ".byte 0x66, 0x0f, 0x01, 0x16", // lgdtd [16 bit address]
    ".word trampoline_segments - trampoline_begin",
    "mov eax, cr0",
    "or al, 1",
    "mov cr0, eax",
    ".byte 0x66, 0xea", // jmp far, 32 bit address
    ".long secondary32",
    ".word 16",
    "trampoline_segments:",
    ".word 31",
    ".long boot_segments",
    ".global trampoline_end",
    "trampoline_end:",
    ".code64",
    ".popsection",
    CR4_PAE = const CR4_PAE,
    IA32_EFER = const IA32_EFER,
    EFER = const EFER_LME | EFER_NXE,
    CR0 = const CR0,
    STACK_END = const stack_end(0),
    CPU_STACKS_BYTES = const CPU_STACKS_BYTES,
    MAX_CPUS = const MAX_CPUS,
    start = sym start,
    secondary = sym secondary,
);

/// The code that a CPU is to run after a SIPI, from the first byte of a page below 1 MiB on.
pub(super) fn trampoline() -> &'static [u8] {
    unsafe extern "C" {
        #[link_name = "trampoline_begin"]
        static BEGIN: u8;
        #[link_name = "trampoline_end"]
        static END: u8;
    }
    let begin = &raw const BEGIN;
    let size_bytes = (&raw const END).addr() - begin.addr();
    // SAFETY: between the two labels are constants, so many bytes of them.
    unsafe { core::slice::from_raw_parts(begin, size_bytes) }
}
