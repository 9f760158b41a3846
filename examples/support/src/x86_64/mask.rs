//! Masking interrupts between two calls, where a closure does not fit.

use x86_64::instructions::interrupts;

/// How interrupts were before they were masked.
#[derive(Clone, Copy)]
pub(crate) struct Masked {
    were_enabled: bool,
}

impl Masked {
    /// Interrupts were masked already.
    pub(crate) const ALREADY: Self = Self { were_enabled: false };
}

/// Masks interrupts on this CPU, and tells how they were.
pub(crate) fn mask_interrupts() -> Masked {
    let were_enabled = interrupts::are_enabled();
    interrupts::disable();
    Masked { were_enabled }
}

/// Has interrupts on this CPU again as they were.
pub(crate) fn unmask_interrupts(before: Masked) {
    if before.were_enabled {
        interrupts::enable();
    }
}
