//! The handlers that faults are counted with.
//!
//! One asks a single arena, others a registry, as a kernel does; what the entry into the kernel and the way back take is taken
//! off by a fault that one of the two *least* handlers has: [`store`] knows the slot and what belongs there, [`skip`] gives the
//! access up.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use kernel_arena::{Fault, FaultOutcome, Registry};
use support::{FaultAction, FaultFrame};

use crate::site::{KernelArena, LEVEL, Platform};

/// Registries of all sizes that are counted.
pub(crate) static OF_1: Registry<Platform, 1> = Registry::new();
pub(crate) static OF_8: Registry<Platform, 8> = Registry::new();
pub(crate) static OF_64: Registry<Platform, 64> = Registry::new();

/// The arena that [`alone`] asks.
pub(crate) static ARENA: AtomicPtr<KernelArena> = AtomicPtr::new(core::ptr::null_mut());
/// The slot that [`store`] fills, a word in the map of physical memory, and with what.
pub(crate) static SLOT: AtomicPtr<AtomicU64> = AtomicPtr::new(core::ptr::null_mut());
pub(crate) static ENTRY: AtomicU64 = AtomicU64::new(0);

/// The least that repairs a fault.
pub(crate) fn store(_: &FaultFrame) -> FaultAction {
    // SAFETY: whoever makes this the handler has stored the address of a slot.
    let slot = unsafe { &*SLOT.load(Ordering::Relaxed) };
    slot.store(ENTRY.load(Ordering::Relaxed), Ordering::Relaxed);
    FaultAction::Retry
}

/// The least that ends a fault which is nobody's.
pub(crate) fn skip(_: &FaultFrame) -> FaultAction {
    FaultAction::Skip
}

/// As in a kernel that has but one arena.
pub(crate) fn alone(frame: &FaultFrame) -> FaultAction {
    // SAFETY: whoever makes this the handler has stored a pointer to an arena that is there.
    let arena = unsafe { &*ARENA.load(Ordering::Relaxed) };
    by(frame, |fault| arena.handle_kernel_fault(fault))
}

/// As in a kernel with a registry of one arena.
pub(crate) fn of_1(frame: &FaultFrame) -> FaultAction {
    by(frame, |fault| OF_1.handle_kernel_fault(fault))
}

/// Of eight.
pub(crate) fn of_8(frame: &FaultFrame) -> FaultAction {
    by(frame, |fault| OF_8.handle_kernel_fault(fault))
}

/// Of 64.
pub(crate) fn of_64(frame: &FaultFrame) -> FaultAction {
    by(frame, |fault| OF_64.handle_kernel_fault(fault))
}

#[inline(always)]
fn by(frame: &FaultFrame, ask: impl FnOnce(&Fault) -> FaultOutcome) -> FaultAction {
    LEVEL.store(1, Ordering::Relaxed);
    let outcome = frame.decode().map_or(FaultOutcome::NotOurs, |fault| ask(&fault));
    LEVEL.store(0, Ordering::Relaxed);
    match outcome {
        FaultOutcome::Recovered | FaultOutcome::Spurious => FaultAction::Retry,
        FaultOutcome::Resume(instruction) => FaultAction::ContinueAt(instruction),
        FaultOutcome::NotOurs => FaultAction::Skip,
    }
}
