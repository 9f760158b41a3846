//! The exceptions. `aarch64-rt` saves what a call may change, on the stack that was interrupted.

use core::sync::atomic::{AtomicU64, Ordering};

use aarch64_cpu::registers::{ESR_EL1, FAR_EL1, Readable};
use aarch64_rt::{ExceptionHandlers, RegisterStateRef};

use super::timer;
use crate::arena;

static PAGE_FAULTS: AtomicU64 = AtomicU64::new(0);

/// How many data aborts there were.
pub(crate) fn page_faults() -> u64 {
    PAGE_FAULTS.load(Ordering::Relaxed)
}

struct Handlers;

aarch64_rt::exception_handlers!(Handlers);

impl ExceptionHandlers for Handlers {
    extern "C" fn sync_current(mut state: RegisterStateRef) {
        PAGE_FAULTS.fetch_add(1, Ordering::Relaxed);
        let mut elr = state.elr as u64;
        if arena::recovers(&mut elr) {
            // SAFETY: that of the instruction, or the way out of an access that stops.
            unsafe { state.get_mut() }.elr = elr.try_into().expect("an address");
            return;
        }
        let (syndrome, address) = (ESR_EL1.get(), FAR_EL1.get());
        panic!("exception: syndrome {syndrome:#x}, address {address:#x}, instruction {:#x}", state.elr);
    }

    extern "C" fn irq_current(_: RegisterStateRef) {
        timer::handle();
    }
}
