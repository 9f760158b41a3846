//! The page-fault handler, and the tally of what it did.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use kernel_arena::{Fault, FaultOutcome, Registry};
use support::{FaultAction, FaultFrame, KernelPlatform, exceptions_taken};

use crate::bench::KernelArena;

/// The arenas that are helped.
pub(crate) static REGISTRY: Registry<KernelPlatform, 4> = Registry::new();

/// The arena that gets all faults, as in a kernel that has but one; usually null, and the registry gets them.
static ONLY: AtomicPtr<KernelArena> = AtomicPtr::new(core::ptr::null_mut());

static DECLINED: AtomicU64 = AtomicU64::new(0);

/// Faults of the CPU, since the start or since an earlier tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Faults {
    /// How many.
    pub(crate) taken: u64,
    /// How many of them no arena wanted, so that the access was given up.
    pub(crate) declined: u64,
}

impl Faults {
    /// No fault.
    pub(crate) const NONE: Self = Self::recovered(0);
    /// One fault, which no arena wanted.
    pub(crate) const DECLINED: Self = Self { taken: 1, declined: 1 };
    /// One fault, recovered.
    pub(crate) const RECOVERED: Self = Self::recovered(1);

    /// So many faults, all of them recovered.
    pub(crate) const fn recovered(taken: u64) -> Self {
        Self { taken, declined: 0 }
    }

    /// Those since the start.
    pub(crate) fn so_far() -> Self {
        Self { taken: exceptions_taken(), declined: DECLINED.load(Ordering::Relaxed) }
    }

    /// Those since `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self { taken: self.taken - earlier.taken, declined: self.declined - earlier.declined }
    }
}

/// Does something while all faults go to this arena, without the registry.
pub(crate) fn with_only<T>(arena: &KernelArena, action: impl FnOnce() -> T) -> T {
    ONLY.store(core::ptr::from_ref(arena).cast_mut(), Ordering::Relaxed);
    let result = action();
    ONLY.store(core::ptr::null_mut(), Ordering::Relaxed);
    result
}

/// Asks the arenas about a fault.
fn ask(fault: &Fault) -> FaultOutcome {
    // SAFETY: `with_only` stores a reference to an arena, and takes it back before it returns.
    match unsafe { ONLY.load(Ordering::Relaxed).as_ref() } {
        Some(arena) => arena.handle_kernel_fault(fault),
        None => REGISTRY.handle_kernel_fault(fault),
    }
}

/// Decides about a fault: the arenas first. What no arena wants is given up, if it is a probe's.
pub(crate) fn handle(frame: &FaultFrame) -> FaultAction {
    let outcome = frame.decode().map_or(FaultOutcome::NotOurs, |fault| ask(&fault));
    match outcome {
        FaultOutcome::Recovered | FaultOutcome::Spurious => FaultAction::Retry,
        FaultOutcome::Resume(instruction) => FaultAction::ContinueAt(instruction),
        FaultOutcome::NotOurs => {
            DECLINED.fetch_add(1, Ordering::Relaxed);
            FaultAction::Skip
        }
    }
}
