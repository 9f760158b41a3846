//! The page-fault handler: the registry first; what no arena wants is given up. What comes between may use the heap
//! here, too.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::{FaultOutcome, Registry};
use support::{FaultAction, FaultFrame};

use crate::guest;
use crate::platform::HeapPlatform;

/// The arenas that are helped.
pub(crate) static REGISTRY: Registry<HeapPlatform, 4> = Registry::new();

static RECOVERED: AtomicU64 = AtomicU64::new(0);

/// How many faults an arena has recovered.
pub(crate) fn recovered() -> u64 {
    RECOVERED.load(Ordering::Relaxed)
}

/// Decides about a fault.
pub(crate) fn handle(frame: &FaultFrame) -> FaultAction {
    guest::in_fault();
    let outcome = frame.decode().map_or(FaultOutcome::NotOurs, |fault| REGISTRY.handle_kernel_fault(&fault));
    match outcome {
        FaultOutcome::Recovered => {
            RECOVERED.fetch_add(1, Ordering::Relaxed);
            FaultAction::Retry
        }
        FaultOutcome::Spurious => FaultAction::Retry,
        FaultOutcome::Resume(instruction) => FaultAction::ContinueAt(instruction),
        FaultOutcome::NotOurs => FaultAction::Skip,
    }
}
