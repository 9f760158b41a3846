//! Exceptions: aborts go to the kernel's handler, everything else ends the machine with a report.
//!
//! `aarch64-rt` saves what a call may change on the exceptions' stack, ELR_EL1 and SPSR_EL1
//! included, so a handler that faults is just another exception. ESR_EL1 and FAR_EL1 are read
//! before anything can fault again.

use core::arch::naked_asm;

use aarch64_cpu::registers::{ESR_EL1, FAR_EL1, Readable};
use aarch64_rt::{ExceptionHandlers, RegisterStateRef};

use super::{gic, step, user};
use crate::fault::{self, FaultFrame};
use crate::layout::is_stack_guard;

/// Exception classes (Arm ARM D24.2, ESR_EL1.EC).
const INSTRUCTION_ABORT: u64 = 0x21;
const DATA_ABORT: u64 = 0x25;

struct Handlers;

aarch64_rt::exception_handlers!(Handlers);

impl ExceptionHandlers for Handlers {
    extern "C" fn sync_current(state: RegisterStateRef) {
        synchronous(state);
    }

    #[unsafe(naked)]
    extern "C" fn sync_lower(state: RegisterStateRef) {
        naked_asm!("b {}", sym user::synchronous)
    }

    #[unsafe(naked)]
    extern "C" fn irq_lower(state: RegisterStateRef) {
        naked_asm!("b {}", sym user::interrupt)
    }

    extern "C" fn irq_current(state: RegisterStateRef) {
        if !gic::handle() {
            unexpected("interrupt", &state);
        }
    }

    extern "C" fn fiq_current(state: RegisterStateRef) {
        unexpected("fast interrupt", &state);
    }

    extern "C" fn serror_current(state: RegisterStateRef) {
        unexpected("SError", &state);
    }
}

fn synchronous(mut state: RegisterStateRef) {
    let frame = frame(&state);
    match ESR_EL1.read(ESR_EL1::EC) {
        DATA_ABORT => fault::count_exception(),
        INSTRUCTION_ABORT => {}
        class if step::handle(class, &mut state) => return,
        _ => fault::fatal("unexpected exception", &frame),
    }
    if is_stack_guard(frame.address) {
        fault::fatal("the stack has overflowed", &frame);
    }
    if let Some(resume) = fault::decide(&frame) {
        let resume = usize::try_from(resume).expect("a usize has 64 bits");
        // SAFETY: the address is one where the interrupted code expects to go on: its
        // registers are as they were, and it is the end of a probe that has not pushed anything.
        unsafe { state.get_mut() }.elr = resume;
    }
}

/// What the processor says; to be called before anything that may fault.
fn frame(state: &RegisterStateRef) -> FaultFrame {
    FaultFrame { address: FAR_EL1.get(), syndrome: ESR_EL1.get(), instruction: state.elr as u64, from_user: false }
}

fn unexpected(what: &str, state: &RegisterStateRef) -> ! {
    fault::fatal(what, &frame(state))
}
