//! Masking interrupts between two calls, where a closure does not fit.

use core::arch::asm;

/// How interrupts were before they were masked.
#[derive(Clone, Copy)]
pub(crate) struct Masked {
    /// The register DAIF (Arm ARM C5.2).
    daif: u64,
}

impl Masked {
    /// Interrupts were masked already.
    pub(crate) const ALREADY: Self = Self { daif: 0b1111 << 6 };
}

/// Masks interrupts on this CPU, and tells how they were.
pub(crate) fn mask_interrupts() -> Masked {
    let daif;
    // SAFETY: masking interrupts is always sound. The instructions count as an access, so that nothing is moved across.
    unsafe { asm!("mrs {}, daif", "msr daifset, #3", out(reg) daif, options(nostack)) };
    Masked { daif }
}

/// Has interrupts on this CPU again as they were.
pub(crate) fn unmask_interrupts(before: Masked) {
    // SAFETY: the value was read from the register, when whatever runs now could be interrupted as it says.
    unsafe { asm!("msr daif, {}", in(reg) before.daif, options(nostack)) };
}
