//! Where things lie in physical memory, as distances from the start of RAM.
//!
//! The kernel's own image takes the first 18 MiB (`link/kernel.ld` shows the parts, the
//! architectures' page tables map them). Behind it lie the frames that kernels may allocate;
//! those are mapped only through the map of all physical memory.

use core::ops::Range;

use crate::arch::RAM_BASE;

/// What lies below the stack of the kernel and is not mapped, in bytes from the start of RAM.
const STACK_GUARD: Range<u64> = 14 << 20..16 << 20;

/// Whether a fault at this address says that the kernel's stack has overflowed.
pub(crate) fn is_stack_guard(address: u64) -> bool {
    STACK_GUARD.contains(&address.wrapping_sub(RAM_BASE))
}

/// Start of the frames, in bytes from the start of RAM.
pub(crate) const FRAMES_OFFSET: u64 = 32 << 20;

/// Size of all frames, in bytes.
pub(crate) const FRAMES_BYTES: u64 = 64 << 20;

/// The RAM that the map of physical memory covers, in bytes: what QEMU is to be given (`-m 512M`).
pub(crate) const RAM_BYTES: u64 = 512 << 20;

/// The number of windows.
pub(crate) const WINDOW_COUNT: usize = 4;

/// The entry of the first gibibyte of the first window, in the table of 512 entries of 1 GiB that
/// holds all windows. It is in the table's upper half, so that the addresses of the windows are
/// canonical even on aarch64, where that table is the root, if one takes the upper half's 39 bits
/// for a signed number.
pub(crate) const FIRST_WINDOW_ENTRY: usize = 256 + 8;

/// From window to window, in entries of 1 GiB: four lent ones, the one with the upper guard's
/// directory, and three that stay empty, the last of which is before the next window and holds
/// its lower guard.
pub(crate) const WINDOW_STRIDE: usize = 8;
