//! Single-stepping: a piece of code runs one instruction at a time, and before each one a handler is called, as if an
//! interrupt had come just there.
//!
//! The processor does it: x86_64 by the trap flag, aarch64 by software step. Both begin with a call of a function and end when
//! that returns, so the handler sees the function's first instruction, its last, and each one that those in between execute.
//! What the handler does is not stepped, its exceptions included. It has interrupted any code whatever, so it must not
//! allocate from the kernel's heap nor wait for a lock; it runs one interrupt level above that code ([`fault_level`]).
//!
//! One CPU steps at a time. On aarch64 the code must contain no exclusive load and store: the exception between
//! the two makes every store fail, for ever (Arm ARM B2.17, D2.12). One that is met ends the machine, with its address.
//!
//! [`fault_level`]: crate::fault_level

use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::arch::step::{call_stepped, is_return};
use crate::fault;

/// What a handler wants after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepAction {
    /// To be called before the next instruction, too.
    Continue,
    /// Nothing more: the rest runs at full speed.
    Stop,
}

/// Where the code is that runs one instruction at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The address of the instruction that is to be executed next.
    pub instruction: u64,
    /// Whether interrupts are masked there: a debug exception is not, but an interrupt could not come now.
    pub is_masked: bool,
}

/// Called before each instruction.
type StepHandler<'a> = &'a dyn Fn(Step) -> StepAction;

/// The handler, a pointer to a [`StepHandler`] on the stack of whoever steps; null if nobody does.
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Runs `operation` and calls `handler` before each of its instructions. On x86_64 the iterations of one string instruction
/// are one.
///
/// A few instructions are this function's own, which calls the operation through a pointer; they are the same
/// for the same type of operation.
///
/// # Panics
///
/// If something is being stepped already.
pub fn single_step<R>(handler: &dyn Fn(Step) -> StepAction, operation: impl FnOnce() -> R) -> R {
    let handler: StepHandler<'_> = handler;
    let place = (&raw const handler).cast_mut().cast::<()>();
    let idle = HANDLER.compare_exchange(core::ptr::null_mut(), place, Ordering::Relaxed, Ordering::Relaxed);
    assert!(idle.is_ok(), "one operation is stepped at a time");
    let call = Call { operation: Cell::new(Some(operation)), result: Cell::new(None) };
    // SAFETY: `run` fits what it is given: a `Call` of the same types, which lives on.
    unsafe { call_stepped(run_of(&call), (&raw const call).cast()) };
    HANDLER.store(core::ptr::null_mut(), Ordering::Relaxed);
    call.result.into_inner().expect("the operation has returned")
}

/// An operation and where its result goes.
struct Call<F, R> {
    operation: Cell<Option<F>>,
    result: Cell<Option<R>>,
}

/// The function that runs such a call.
fn run_of<F: FnOnce() -> R, R>(_: &Call<F, R>) -> unsafe extern "C" fn(*const ()) {
    run::<F, R>
}

/// # Safety
///
/// `call` points to a `Call<F, R>`.
unsafe extern "C" fn run<F: FnOnce() -> R, R>(call: *const ()) {
    // SAFETY: the caller promises it.
    let call = unsafe { &*call.cast::<Call<F, R>>() };
    if let Some(operation) = call.operation.take() {
        call.result.set(Some(operation()));
    }
}

/// What the debug exception does: calls the handler, unless the operation has returned, which ends the stepping.
///
/// None if nothing is to be stepped at all: the exception has some other cause.
pub(crate) fn before(step: Step) -> Option<StepAction> {
    let handler = HANDLER.load(Ordering::Relaxed).cast_const().cast::<StepHandler<'_>>();
    if handler.is_null() {
        return None;
    }
    if is_return(step.instruction) {
        return Some(StepAction::Stop);
    }
    // SAFETY: `single_step` stored the pointer on this CPU, which it has not left: what it points to is there.
    let handler = unsafe { *handler };
    Some(fault::one_level_up(|| handler(step)))
}
