//! The page-fault handler: every fault goes to the arenas by way of the registry.

use kernel_arena::{FaultOutcome, Registry};
use support::{FaultAction, FaultFrame, KernelPlatform};

/// The arenas that are helped.
pub(crate) static REGISTRY: Registry<KernelPlatform, 2> = Registry::new();

/// Decides about a fault. What no arena wants is given up, if it is a probe's.
pub(crate) fn handle(frame: &FaultFrame) -> FaultAction {
    let outcome = frame.decode().map_or(FaultOutcome::NotOurs, |fault| REGISTRY.handle_kernel_fault(&fault));
    match outcome {
        FaultOutcome::Recovered | FaultOutcome::Spurious => FaultAction::Retry,
        FaultOutcome::Resume(instruction) => FaultAction::ContinueAt(instruction),
        FaultOutcome::NotOurs => FaultAction::Skip,
    }
}
