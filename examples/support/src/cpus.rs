//! Several CPUs: which one runs, and how all of them do something together.
//!
//! The kernel's main function runs on the boot CPU, which is number 0. The others wait for a job that
//! [`Machine::run_on_all`](crate::Machine::run_on_all) gives to all of them at once; it returns when
//! all have ended it. There are no threads and no scheduler: a job runs where it runs until it
//! returns.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use kernel_arena::platform::CpuId;

use crate::arch::{self, relax};
use crate::fault::fault_level;

type Job<'a> = &'a (dyn Fn(CpuId) + Sync);

/// How many CPUs there are.
static COUNT: AtomicU32 = AtomicU32::new(1);
/// The job that runs, a pointer to a [`Job`] on the boot CPU's stack.
static JOB: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
/// How many of the other CPUs have not ended it.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// The CPU that runs this.
#[must_use]
pub fn cpu_id() -> CpuId {
    CpuId::new(u16::try_from(arch::current()).expect("there are few CPUs"))
}

/// How many CPUs there are, the boot CPU included.
pub(crate) fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// Brings the other CPUs up, on the boot CPU, once.
pub(crate) fn start() {
    COUNT.store(arch::start_others(), Ordering::Relaxed);
    // This shows now, and not in the middle of a test, whether they work.
    run_on_all(&|_| ());
}

/// Runs a job on all CPUs, and returns when all have ended it.
pub(crate) fn run_on_all(job: Job<'_>) {
    static BUSY: AtomicBool = AtomicBool::new(false);

    assert!(arch::current() == 0 && fault_level() == 0, "only the boot CPU gives jobs, and no fault handler");
    assert!(!BUSY.swap(true, Ordering::Relaxed), "a job gives no job");
    JOB.store((&raw const job).cast_mut().cast(), Ordering::Relaxed);
    RUNNING.store(count() - 1, Ordering::Relaxed);
    // Wakes with Release: whoever is awake sees the job.
    arch::wake_others(count());
    job(cpu_id());
    // Acquire: all that the job did on the others has happened.
    while RUNNING.load(Ordering::Acquire) != 0 {
        relax();
    }
    BUSY.store(false, Ordering::Relaxed);
}

/// Runs the job that was given, on each of the other CPUs, once.
pub(crate) fn run_job() {
    let job = JOB.load(Ordering::Relaxed).cast_const().cast::<Job<'_>>();
    // SAFETY: `run_on_all` woke this CPU after it had stored the pointer, and does not return, so
    // that what it points to stays, until this CPU has counted itself out below.
    let job = unsafe { *job };
    job(cpu_id());
    RUNNING.fetch_sub(1, Ordering::Release);
}

/// A place where CPUs wait for each other: a spin barrier, to be used again and again.
///
/// ```ignore
/// let barrier = Barrier::new(machine.cpu_count());
/// machine.run_on_all(|cpu| {
///     // ...
///     barrier.wait();
///     // what every CPU did before is visible here
/// });
/// ```
#[derive(Debug)]
pub struct Barrier {
    count: u32,
    arrived: AtomicU32,
    /// How often the barrier has opened. Whoever waits, waits for this to change.
    openings: AtomicU32,
}

impl Barrier {
    /// A barrier for `count` CPUs.
    #[must_use]
    pub const fn new(count: u32) -> Self {
        Self { count, arrived: AtomicU32::new(0), openings: AtomicU32::new(0) }
    }

    /// Waits until all have come. Tells whether this CPU was the last, which is one of them each
    /// time.
    ///
    /// Interrupts may be masked: waiting answers shootdowns.
    pub fn wait(&self) -> bool {
        // Read before counting in: the barrier cannot open in between.
        let opening = self.openings.load(Ordering::Relaxed);
        // Release what was done before, Acquire what those did who came earlier.
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.count {
            self.arrived.store(0, Ordering::Relaxed);
            self.openings.store(opening.wrapping_add(1), Ordering::Release);
            return true;
        }
        while self.openings.load(Ordering::Acquire) == opening {
            relax();
        }
        false
    }
}
