//! Where things lie in physical memory, as distances from the start of RAM.
//!
//! The kernel's own image takes the first 20 MiB (`link/kernel.ld` shows the parts, the
//! architectures' page tables map them). Behind it lie the frames that kernels may allocate;
//! those are mapped only through the map of all physical memory.

use crate::arch::RAM_BASE;

/// The most CPUs that run; any more that the machine may have stay asleep.
pub const MAX_CPUS: usize = 8;

/// Start of the CPUs' stacks, in bytes from the start of RAM.
const STACKS_OFFSET: u64 = 16 << 20;

/// What each CPU has there: four parts, the first and the third of which are not mapped.
pub(crate) const CPU_STACKS_BYTES: u64 = 512 << 10;
const EXCEPTION_STACK_START: u64 = 64 << 10;
const EXCEPTION_STACK_END: u64 = 192 << 10;
const STACK_START: u64 = 256 << 10;

/// The same in pages, for the page tables: below the exception stack, that, below the stack, and
/// that.
pub(crate) const STACK_PAGES: [u64; 4] = [
    EXCEPTION_STACK_START >> 12,
    (EXCEPTION_STACK_END - EXCEPTION_STACK_START) >> 12,
    (STACK_START - EXCEPTION_STACK_END) >> 12,
    (CPU_STACKS_BYTES - STACK_START) >> 12,
];

// The page tables have two tables of 4 KiB entries for the stacks.
const _: () = assert!(MAX_CPUS as u64 * CPU_STACKS_BYTES == 4 << 20);

/// The end of a CPU's stack for the code that it normally runs.
pub(crate) const fn stack_end(cpu: usize) -> u64 {
    RAM_BASE + STACKS_OFFSET + (cpu as u64 + 1) * CPU_STACKS_BYTES
}

/// The end of a CPU's stack for exceptions: all of them on aarch64, the double fault on x86_64.
pub(crate) const fn exception_stack_end(cpu: usize) -> u64 {
    RAM_BASE + STACKS_OFFSET + cpu as u64 * CPU_STACKS_BYTES + EXCEPTION_STACK_END
}

/// Whether a fault at this address says that a CPU's stack has overflowed.
pub(crate) fn is_stack_guard(address: u64) -> bool {
    let offset = address.wrapping_sub(RAM_BASE + STACKS_OFFSET);
    let within = offset % CPU_STACKS_BYTES;
    let guard = within < EXCEPTION_STACK_START || (EXCEPTION_STACK_END..STACK_START).contains(&within);
    offset < MAX_CPUS as u64 * CPU_STACKS_BYTES && guard
}

/// Start of the frames, in bytes from the start of RAM.
pub(crate) const FRAMES_OFFSET: u64 = 32 << 20;

/// Size of all frames, in bytes.
pub(crate) const FRAMES_BYTES: u64 = 64 << 20;

/// Where QEMU puts the program's file, in bytes from the start of RAM, and how large it may be.
pub(crate) const PROGRAM_OFFSET: u64 = 128 << 20;
pub(crate) const PROGRAM_BYTES: usize = 4 << 20;

/// The RAM that the map of physical memory covers, in bytes: what QEMU is to be given (`-m 512M`).
pub(crate) const RAM_BYTES: u64 = 512 << 20;

/// The number of windows.
pub(crate) const WINDOW_COUNT: usize = 8;

/// The entry of the first gibibyte of the first window, in the table of 512 entries of 1 GiB that
/// holds all windows. It is in the table's upper half, so that the addresses of the windows are
/// canonical even on aarch64, where that table is the root, if one takes the upper half's 39 bits
/// for a signed number.
pub(crate) const FIRST_WINDOW_ENTRY: usize = 256 + 8;

/// From window to window, in entries of 1 GiB: four lent ones, the one with the upper guard's
/// directory, and three that stay empty, the last of which is before the next window and holds
/// its lower guard.
pub(crate) const WINDOW_STRIDE: usize = 8;
