//! The page-fault handler: the registry first; what no arena wants is given up.

use core::sync::atomic::{AtomicBool, Ordering};

use kernel_arena::{FaultOutcome, Registry};
use support::{FaultAction, FaultFrame, MAX_CPUS, cpu_id};

use crate::platform::RacePlatform;
use crate::tally::{Event, count};

/// The arenas that are helped.
pub(crate) static REGISTRY: Registry<RacePlatform, ARENAS> = Registry::new();

/// How many it has room for.
pub(crate) const ARENAS: usize = 6;

/// On which CPUs no fault is recovered at the moment. Relaxed: each concerns its own CPU alone.
static GIVING_UP: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Does something while no fault is recovered on this CPU, so that it shows what the CPU still translates.
pub(crate) fn giving_up<T>(action: impl FnOnce() -> T) -> T {
    let giving_up = &GIVING_UP[usize::from(cpu_id().number())];
    giving_up.store(true, Ordering::Relaxed);
    let result = action();
    giving_up.store(false, Ordering::Relaxed);
    result
}

/// Decides about a fault.
pub(crate) fn handle(frame: &FaultFrame) -> FaultAction {
    let is_given_up = GIVING_UP[usize::from(cpu_id().number())].load(Ordering::Relaxed);
    let fault = frame.decode().filter(|_| !is_given_up);
    let (event, action) = match fault.map_or(FaultOutcome::NotOurs, |fault| REGISTRY.handle_kernel_fault(&fault)) {
        FaultOutcome::Recovered => (Event::Recovered, FaultAction::Retry),
        FaultOutcome::Spurious => (Event::Retried, FaultAction::Retry),
        FaultOutcome::Resume(instruction) => (Event::Resumed, FaultAction::ContinueAt(instruction)),
        FaultOutcome::NotOurs => (Event::Declined, FaultAction::Skip),
    };
    count(event);
    action
}
