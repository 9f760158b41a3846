//! Single-stepping by software step.
//!
//! While MDSCR_EL1.SS is set, an exception return that has SPSR_EL1.SS set executes one instruction and then takes a software step
//! exception (Arm ARM D2.12). For EL1 stepping itself it takes three things more: MDSCR_EL1.KDE, PSTATE.D clear, and the OS
//! lock unlocked, which reset leaves locked (D2.4). Taking any exception sets PSTATE.D, so handlers are not stepped.
//!
//! It starts with a BRK: its handler has the whole PSTATE at hand, in SPSR_EL1, and changes only what it must.

use core::arch::naked_asm;

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{ESR_EL1, MDSCR_EL1, OSLAR_EL1, ReadWriteable, Readable, Writeable};
use aarch64_rt::RegisterStateRef;

use crate::exit::fail;
use crate::step::{self, Step, StepAction};

/// Exception classes (Arm ARM D24.2, ESR_EL1.EC).
const SOFTWARE_STEP_SAME: u64 = 0x33;
const BRK: u64 = 0x3c;
/// The BRK that asks for stepping, by the comment in it. It is also ESR_EL1.ISS.
const START: u64 = 0x57e9;
/// ESR_EL1.ISS.EX of a software step: the instruction that was stepped is an exclusive load.
const EXCLUSIVE: u64 = 1 << 6;
/// SPSR_EL1.SS and D (Arm ARM D24.2).
const SPSR_STEP: u64 = 1 << 21;
const SPSR_DEBUG_MASKED: u64 = 1 << 9;
/// SPSR_EL1.I.
const SPSR_IRQ_MASKED: u64 = 1 << 7;

/// Calls `function` with `argument`, one instruction at a time.
///
/// # Safety
///
/// It may be called like that, and `step::before` knows what to do at each instruction.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_stepped(function: unsafe extern "C" fn(*const ()), argument: *const ()) {
    naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "mov x9, x0",
        "mov x0, x1",
        "brk #{START}",
        "blr x9",
        ".global call_stepped_return",
        "call_stepped_return:", // the exception here is the last
        "ldp x29, x30, [sp], #16",
        "ret",
        START = const START,
    )
}

/// Whether this is where a stepped function returns to.
pub(crate) fn is_return(instruction: u64) -> bool {
    unsafe extern "C" {
        #[link_name = "call_stepped_return"]
        static RETURN: u8;
    }
    instruction == (&raw const RETURN).addr() as u64
}

/// Handles an exception of this class if it is a step, or the BRK before the first one; tells whether it was.
pub(super) fn handle(class: u64, state: &mut RegisterStateRef<'_>) -> bool {
    let syndrome = ESR_EL1.read(ESR_EL1::ISS);
    match class {
        BRK if syndrome == START => {
            start(state);
            true
        }
        SOFTWARE_STEP_SAME => stepped(syndrome, state),
        _ => false,
    }
}

fn start(state: &mut RegisterStateRef<'_>) {
    OSLAR_EL1.write(OSLAR_EL1::OSLK::Unlocked);
    MDSCR_EL1.modify(MDSCR_EL1::KDE::AllDebugExceptionsEnabled + MDSCR_EL1::SS::SoftwareStepEnabled);
    barrier::isb(barrier::SY);
    // SAFETY: the code goes on behind the BRK, which asked for just this.
    let state = unsafe { state.get_mut() };
    state.elr += 4;
    state.spsr = state.spsr & !SPSR_DEBUG_MASKED | SPSR_STEP;
}

fn stepped(syndrome: u64, state: &mut RegisterStateRef<'_>) -> bool {
    let instruction = state.elr as u64;
    if syndrome & EXCLUSIVE != 0 {
        fail(format_args!(
            "aarch64: the instruction before {instruction:#018x} is an exclusive load, whose store cannot succeed when each \
             instruction is stepped: build with `-C target-feature=+lse`\n"
        ));
    }
    let is_masked = state.spsr & SPSR_IRQ_MASKED != 0;
    let Some(action) = step::before(Step { instruction, is_masked }) else { return false };
    // SAFETY: the code goes on where it was; whether it is stepped makes no difference to it.
    let state = unsafe { state.get_mut() };
    match action {
        StepAction::Continue => state.spsr |= SPSR_STEP,
        StepAction::Stop => {
            MDSCR_EL1.modify(MDSCR_EL1::KDE::OnlyBreakpointInstructionsEnabled + MDSCR_EL1::SS::SoftwareStepDisabled);
            state.spsr = state.spsr & !SPSR_STEP | SPSR_DEBUG_MASKED;
        }
    }
    true
}
