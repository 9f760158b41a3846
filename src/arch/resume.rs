//! Accesses that stop where there is no page, and where they go on.
//!
//! The `try_` accesses of a window are short stubs in assembly. The fault path knows where their instructions lie: a fault of
//! one of them, where there is no page, is answered with the address of the stub's way out, and nothing else is done. A
//! processor's are in `arch/stubs`; here is what a model has in their place.

use crate::fault::InstructionAddr;

/// The instructions of a model's `try_` accesses: where no processor runs the stubs, whoever models one (a test) gives this
/// address as that of the instruction. No address of a processor's is like it: it is not canonical.
pub const MODEL_TRY: InstructionAddr = InstructionAddr::new(0x0123_4567_89ab_cde0);

/// Where they go on when there is no page.
pub const MODEL_STOPPED: InstructionAddr = InstructionAddr::new(0x0123_4567_89ab_cdf0);

/// [`Arch::resume_point`](super::Arch::resume_point) of a model.
#[inline]
pub(crate) fn of_a_model(instruction: InstructionAddr) -> Option<InstructionAddr> {
    (instruction == MODEL_TRY).then_some(MODEL_STOPPED)
}
