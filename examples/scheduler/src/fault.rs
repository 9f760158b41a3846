//! The handler of the kernel's faults: the registry first; what no arena wants is given up.

use kernel_arena::{FaultOutcome, Registry};
use schedule::Arenas;
use support::{FaultAction, FaultFrame};

/// The schedulers' arenas.
pub(crate) static REGISTRY: Arenas = Registry::new();

/// Decides about a fault.
pub(crate) fn handle(frame: &FaultFrame) -> FaultAction {
    match frame.decode().map_or(FaultOutcome::NotOurs, |fault| REGISTRY.handle_kernel_fault(&fault)) {
        FaultOutcome::Recovered | FaultOutcome::Spurious => FaultAction::Retry,
        FaultOutcome::Resume(instruction) => FaultAction::ContinueAt(instruction),
        FaultOutcome::NotOurs => FaultAction::Skip,
    }
}
