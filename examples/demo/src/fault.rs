//! This kernel's page-fault handler: it asks the registry first, and only then helps itself.
//!
//! That is all a kernel has to do. What no arena wants would be a kernel's bug, or a demand page, or whatever else the
//! kernel knows; this one gives up the access, which works for the probes of [`memory`](crate::memory) alone.

use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::{FaultOutcome, Registry};
use support::{FaultAction, FaultFrame, KernelPlatform};

/// The arenas of this kernel.
pub(crate) static REGISTRY: Registry<KernelPlatform, 4> = Registry::new();

static RECOVERED: AtomicU64 = AtomicU64::new(0);
static DECLINED: AtomicU64 = AtomicU64::new(0);
static STOPPED: AtomicU64 = AtomicU64::new(0);
static OF_PROGRAMS: AtomicU64 = AtomicU64::new(0);

/// What became of the CPU's faults so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Faults {
    /// An arena put its scratch page there, and the instruction ran again.
    pub(crate) recovered: u64,
    /// No arena wanted it, and the kernel gave the access up.
    pub(crate) declined: u64,
}

/// How many accesses of the kernel stopped at a hole, since the start.
pub(crate) fn stopped() -> u64 {
    STOPPED.load(Ordering::Relaxed)
}

/// How many faults programs have taken, since the start.
pub(crate) fn of_programs() -> u64 {
    OF_PROGRAMS.load(Ordering::Relaxed)
}

/// One more.
pub(crate) fn count_a_programs() {
    OF_PROGRAMS.fetch_add(1, Ordering::Relaxed);
}

impl Faults {
    /// Those since the start.
    pub(crate) fn so_far() -> Self {
        Self { recovered: RECOVERED.load(Ordering::Relaxed), declined: DECLINED.load(Ordering::Relaxed) }
    }

    /// Those since `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self { recovered: self.recovered - earlier.recovered, declined: self.declined - earlier.declined }
    }
}

/// Decides about a fault.
pub(crate) fn handle(frame: &FaultFrame) -> FaultAction {
    let outcome = frame.decode().map_or(FaultOutcome::NotOurs, |fault| REGISTRY.handle_kernel_fault(&fault));
    match outcome {
        FaultOutcome::Recovered => {
            RECOVERED.fetch_add(1, Ordering::Relaxed);
            FaultAction::Retry
        }
        FaultOutcome::Spurious => FaultAction::Retry,
        FaultOutcome::Resume(instruction) => {
            STOPPED.fetch_add(1, Ordering::Relaxed);
            FaultAction::ContinueAt(instruction)
        }
        FaultOutcome::NotOurs => {
            DECLINED.fetch_add(1, Ordering::Relaxed);
            FaultAction::Skip
        }
    }
}
