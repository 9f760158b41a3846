//! The interrupt masks of this CPU: DAIF.I and DAIF.F (Arm ARM C5.2.2).
//!
//! None of the functions is `nomem`, so the compiler moves no access to memory from one side of it to the other. The
//! processor needs no barrier: a write of these masks acts on all instructions behind it (C5.1.3), and a handler on the same
//! CPU sees all stores of those before the one that it interrupts. SErrors, debug exceptions and synchronous ones heed
//! neither mask.

use core::arch::asm;

/// Whether interrupts can be masked here at all.
pub(crate) const CAN_MASK: bool = true;

/// DAIF.I, as `mrs` gives it.
const IRQ_MASKED: u64 = 1 << 7;

/// Whether interrupts (IRQs) may come.
#[inline]
pub(crate) fn enabled() -> bool {
    let daif: u64;
    // SAFETY: reads a register that every exception level from 1 up may read.
    unsafe { asm!("mrs {}, daif", out(reg) daif, options(nostack, preserves_flags)) };
    daif & IRQ_MASKED == 0
}

/// Masks IRQs and FIQs, and gives DAIF as it was.
#[inline]
pub(crate) fn mask() -> u64 {
    let daif: u64;
    // SAFETY: that no interrupt comes harms nobody's memory.
    unsafe { asm!("mrs {}, daif", "msr daifset, #0b0011", out(reg) daif, options(nostack, preserves_flags)) };
    daif
}

/// Has the masks as they were when `mask` gave this DAIF.
#[inline]
pub(crate) fn restore(daif: u64) {
    // SAFETY: the masks were so before, so whoever runs here expects them.
    unsafe { asm!("msr daif, {}", in(reg) daif, options(nostack, preserves_flags)) };
}
