//! Identities for the usual kernels: how the running CPU is named, and what keeps others from its magazines.
//!
//! | the kernel | identity | an object costs |
//! |---|---|---|
//! | has one CPU, never preempts threads in kernel mode, and its handlers run with interrupts off | [`OneCpu`] | a read of the interrupt flag more |
//! | preempts threads at any instruction, and may mask interrupts for a moment | [`Masking`] | masking and unmasking more |
//! | wants nothing masked, or has handlers that no mask keeps away | [`Unnamed`] | atomic operations on the slabs, no magazine |
//!
//! A kernel that counts what keeps preemption off, or knows its interrupt levels, has something better, and implements
//! [`CpuIdentity`] itself: its documentation shows how.

use core::fmt;

use crate::arch::interrupts;
use crate::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel, Hold};

const BOOT_CPU: CpuId = CpuId::new(0);
const fn thread_on(cpu: CpuId) -> CpuLevel {
    CpuLevel { cpu, level: 0 }
}

/// One CPU, number 0, whose handlers run with interrupts off, and whose threads are not preempted in kernel mode.
///
/// Where interrupts are enabled a thread runs, at level 0; where they are masked (in a handler, in a thread that masked
/// them, before the kernel enabled them) nobody has a place, and allocations take the slower path. So handlers may allocate
/// and free, in the midst of whatever they interrupt. Nothing is masked. A kernel empties its magazines
/// ([`Slab::drain`](crate::slab::Slab::drain)) where interrupts are enabled.
///
/// # Contract
/// - Handlers that call in (interrupts, exceptions, faults, NMIs) are entered with interrupts masked (x86_64: through
///   interrupt gates, as the `x86_64` crate sets them; aarch64: always) and do not enable them before they have returned
///   from the allocator. One that was entered from user mode is a thread, and may.
/// - A thread is switched only where it asks for it, or in user mode. A timer's handler that switches threads in kernel mode
///   breaks this: [`Masking`] is for such kernels.
///
/// In a process, which has no interrupts, it is for one thread.
///
/// ```
/// use kernel_arena::kit::OneCpu;
/// use kernel_arena::platform::CpuIdentity;
/// assert_eq!(OneCpu.current().unwrap().level, 0);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OneCpu;

impl CpuIdentity for OneCpu {
    #[inline]
    fn current(&self) -> Option<CpuLevel> {
        interrupts::enabled().then_some(thread_on(BOOT_CPU))
    }

    fn cpu(&self) -> Option<CpuId> {
        Some(BOOT_CPU)
    }

    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

/// CPUs whose threads are preempted at any instruction, and whose interrupt handlers allocate and free: interrupts are masked
/// for the few instructions in which an allocator is at a CPU's magazines, and are afterwards as they were.
///
/// All code of a CPU is at level 0: nobody else comes while it is there. A fast path has some thirty instructions with
/// interrupts masked, a refill at most some 900 ([`CpuIdentity`] says more), and no source is called meanwhile.
///
/// # Contract
/// - No handler that the mask does not keep away calls in: no NMI, machine check, debug exception or SError, and no fault in
///   the midst of an allocator, which itself faults nowhere. A fault that came from elsewhere may. (x86_64: RFLAGS.IF is the
///   mask; aarch64: DAIF.I and DAIF.F.) A kernel with such handlers forwards to this identity from one of its own, and says
///   `None` in them.
/// - The function that names the CPU gives numbers below the count, each to one CPU. It is called with interrupts masked, and
///   for violations also without; it may be called anywhere, and calls in nowhere.
///
/// In a process, which has nothing to mask, it is for one thread.
///
/// ```
/// use kernel_arena::kit::Masking;
/// use kernel_arena::platform::{CpuCount, CpuId};
///
/// /// One CPU.
/// static ONE: Masking = Masking::one_cpu();
///
/// fn this_cpu() -> CpuId {
///     // In a kernel: from GS or TPIDR_EL1.
///     CpuId::new(0)
/// }
/// /// Up to eight.
/// static EIGHT: Masking = Masking::new(this_cpu, CpuCount::new(8).unwrap());
/// ```
#[derive(Clone, Copy)]
pub struct Masking {
    /// `None`: the boot CPU.
    number: Option<fn() -> CpuId>,
    count: CpuCount,
}

impl Masking {
    /// One CPU, number 0.
    pub const fn one_cpu() -> Self {
        Self { number: None, count: CpuCount::ONE }
    }

    /// So many CPUs, of which `number` names the one that runs.
    pub const fn new(number: fn() -> CpuId, count: CpuCount) -> Self {
        Self { number: Some(number), count }
    }

    #[inline]
    fn number(&self) -> CpuId {
        self.number.map_or(BOOT_CPU, |number| number())
    }
}

impl CpuIdentity for Masking {
    #[inline]
    fn hold(&self) -> Hold {
        Hold::new(interrupts::mask())
    }

    #[inline]
    fn release(&self, hold: Hold) {
        interrupts::restore(hold.word());
    }

    /// The CPU, at level 0: true while interrupts are masked.
    #[inline]
    fn current(&self) -> Option<CpuLevel> {
        if interrupts::CAN_MASK { Some(thread_on(self.number())) } else { None }
    }

    fn cpu(&self) -> Option<CpuId> {
        Some(self.number())
    }

    fn count(&self) -> CpuCount {
        self.count
    }
}

impl fmt::Debug for Masking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masking").field("count", &self.count).finish_non_exhaustive()
    }
}

/// CPUs that have no magazines: right in every kernel and every context, NMIs included, and several times slower.
///
/// Nothing is held, and nobody asks who runs. Violations name the CPU if the kernel has a function that does.
///
/// ```
/// use kernel_arena::kit::Unnamed;
/// use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity};
///
/// const CPUS: Unnamed = Unnamed::new(CpuCount::new(4).unwrap());
/// assert_eq!((CPUS.current(), CPUS.cpu()), (None, None));
///
/// let cpus = CPUS.with_number(|| Some(CpuId::new(3)));
/// assert_eq!((cpus.current(), cpus.cpu()), (None, Some(CpuId::new(3))));
/// ```
#[derive(Clone, Copy)]
pub struct Unnamed {
    number: Option<fn() -> Option<CpuId>>,
    count: CpuCount,
}

impl Unnamed {
    /// So many CPUs.
    pub const fn new(count: CpuCount) -> Self {
        Self { number: None, count }
    }

    /// The same, of which `number` names the one that runs, if it is known: below the count, in any context.
    #[must_use]
    pub const fn with_number(self, number: fn() -> Option<CpuId>) -> Self {
        Self { number: Some(number), ..self }
    }
}

impl CpuIdentity for Unnamed {
    #[inline]
    fn current(&self) -> Option<CpuLevel> {
        None
    }

    fn cpu(&self) -> Option<CpuId> {
        self.number?()
    }

    fn count(&self) -> CpuCount {
        self.count
    }
}

impl fmt::Debug for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unnamed").field("count", &self.count).finish_non_exhaustive()
    }
}
