//! The interrupt flag of this CPU: RFLAGS.IF (Intel SDM vol. 3, 7.8.1).
//!
//! None of the functions is `nomem`, so the compiler moves no access to memory from one side of it to the other. The
//! processor needs no fence: an interrupt comes between two instructions, and its handler, on the same CPU, sees all
//! stores of those before and none of those behind. NMIs, machine checks and exceptions heed no flag.

use core::arch::asm;

/// Whether interrupts can be masked here at all.
pub(crate) const CAN_MASK: bool = true;

/// RFLAGS.IF.
const INTERRUPT_FLAG: u64 = 1 << 9;

/// Whether interrupts may come.
#[inline]
pub(crate) fn enabled() -> bool {
    let flags: u64;
    // SAFETY: a word goes to the stack and comes back.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags & INTERRUPT_FLAG != 0
}

/// Masks interrupts, and gives the flags as they were.
#[inline]
pub(crate) fn mask() -> u64 {
    let flags: u64;
    // SAFETY: a word goes to the stack and comes back; that no interrupt comes harms nobody's memory.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags, options(preserves_flags)) };
    flags
}

/// Has interrupts as they were when `mask` gave these flags.
#[inline]
pub(crate) fn restore(flags: u64) {
    if flags & INTERRUPT_FLAG != 0 {
        // SAFETY: they were enabled before, so whoever runs here expects them.
        unsafe { asm!("sti", options(nostack, preserves_flags)) };
    }
}
