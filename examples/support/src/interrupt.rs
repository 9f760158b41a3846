//! Interrupts on request: one CPU interrupts the others, or sets its timer, and whoever is interrupted runs a function
//! of the kernel's in the middle of whatever it was doing.
//!
//! On x86_64 such an interrupt may come at thread level at any time; on aarch64 only inside [`interruptible`], for
//! there every CPU has interrupts masked otherwise. In the kernel's function, and in a fault handler, one comes inside
//! [`interruptible`] alone.

use core::sync::atomic::{AtomicPtr, Ordering};

use crate::fault;

pub use crate::arch::{arm_timer, disarm_timer, interrupt_others, interruptible};

/// The kernel's function, a `fn()`, or null.
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Makes `handler` what runs on every CPU that [`interrupt_others`] or [`arm_timer`] interrupts. It has interrupted any
/// code whatever, so it must not allocate from a heap that locks nor wait for a lock; it runs one interrupt level above
/// that code ([`fault_level`](crate::fault_level)).
pub fn set_interrupt_handler(handler: fn()) {
    HANDLER.store(handler as *mut (), Ordering::Release);
}

/// Runs the kernel's function, if there is one.
pub(crate) fn handle() {
    let handler = HANDLER.load(Ordering::Acquire);
    if handler.is_null() {
        return;
    }
    // SAFETY: only `set_interrupt_handler` stores here, and what it stores is a `fn()`.
    let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
    fault::one_level_up(handler);
}
