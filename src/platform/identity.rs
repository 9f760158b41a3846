//! Which CPU runs, at which interrupt level, and how a kernel keeps others from coming between.
//!
//! Allocators keep magazines for each (CPU, level) and change them by plain loads and stores. That is right only as long as
//! nobody else is at the same magazines, so each piece of code that relies on its place is enclosed by
//! [`hold`](CpuIdentity::hold) and [`release`](CpuIdentity::release). Inside the crate a [`Held`] does it, on every path.
//! The pieces are short and call nothing, so a kernel may mask interrupts for them.

use core::mem;
use core::sync::atomic::{Ordering, compiler_fence};

use super::{CpuCount, CpuId, CpuLevel};

/// What a [`hold`](CpuIdentity::hold) wants back when it is [released](CpuIdentity::release): a word of the kernel's, such
/// as the interrupt flag as it was.
///
/// Whoever has one has not released yet. It can be neither copied nor released twice.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what was held is to be released"]
pub struct Hold(u64);

impl Hold {
    /// A hold that keeps nothing in mind.
    pub const NOTHING: Self = Self(0);

    /// One that remembers a word.
    #[inline]
    pub const fn new(word: u64) -> Self {
        Self(word)
    }

    /// The word.
    #[inline]
    pub const fn word(&self) -> u64 {
        self.0
    }
}

/// The name of the running CPU and its interrupt level.
///
/// # Contract
/// The (CPU, level) that [`current`](Self::current) gives is a *place*. Allocators have
/// [`LEVELS`](crate::slab::LEVELS) places of each of [`CPUS`](crate::slab::CPUS) CPUs.
/// - **Alone.** From [`hold`](Self::hold) to the [`release`](Self::release) that ends it the code stays on its CPU, and
///   nobody else calls in at its place: no other thread, and no handler that has no level of its own. Others may come
///   meanwhile: code at another level of this CPU that returns before ours goes on, other CPUs, and whatever does not
///   call in. A kernel that does not preempt its threads in kernel mode, and whose handlers each have a higher level than
///   what they interrupt (or none, see below), need hold nothing: then both do nothing, as they do by themselves. One that
///   preempts keeps preemption off in between, or masks interrupts.
/// - **`None` is always right** (CPU not known yet, levels used up, held off by nothing), and takes a slower path.
/// - **What cannot be masked**, such as NMIs, machine checks, debug exceptions and faults, has a level of its own if its
///   handler calls in, or `current` says `None` in it (from a word of the CPU's that the handler's entry sets, say). A
///   handler that never calls in is nothing to think of.
/// - **Pairs.** Each `hold` is released once, on the same CPU and in the same thread or handler, the last one first: a
///   handler at another level may hold and release in between, and the kernel may have masked interrupts long before.
///   Allocators do not hold twice, and call nothing of the kernel's while they hold but `current`: no source, no shootdown.
///   They hold for a piece of code without loops, or with one of at most 63 rounds: some 30 instructions around a fast
///   path, at most some 900 where a refill fills a magazine.
/// - **Back as it was.** `release` gets what `hold` gave, and leaves everything as it was then: interrupts that were masked
///   stay masked. It may let another thread run at once.
/// - Neither waits, and neither calls in. As for the compiler, nothing is moved out between them: the crate sees to that.
/// - A number that [`lend_idle`](Self::lend_idle) lends is nobody's meanwhile.
/// - None of its functions unwinds.
/// - Callable in any context in which the allocators on top are, interrupt handlers included.
///
/// [`kit`](crate::kit) has identities for the usual kernels.
///
/// # Examples
/// Threads that are preempted, unless their CPU counts something; handlers that allocate are a level higher:
/// ```
/// use core::sync::atomic::{AtomicU32, Ordering};
/// use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel, Hold};
/// # static CPUS: [PerCpu; 2] = [const { PerCpu { preempt_off: AtomicU32::new(0), handlers: AtomicU32::new(0) } }; 2];
/// # fn this_cpu() -> (u16, &'static PerCpu) { (0, &CPUS[0]) }
/// # fn reschedule_if_due() {}
///
/// struct PerCpu {
///     preempt_off: AtomicU32, // the timer's handler switches threads only at 0
///     handlers: AtomicU32,    // how many handlers run here
/// }
///
/// struct Kernel;
///
/// impl CpuIdentity for Kernel {
///     fn hold(&self) -> Hold {
///         // One instruction on x86_64 (`inc gs:[…]`). Elsewhere mask interrupts for it: who is moved to another CPU
///         // between the look-up and the count has counted on the wrong one.
///         this_cpu().1.preempt_off.fetch_add(1, Ordering::Relaxed);
///         Hold::NOTHING
///     }
///     fn release(&self, _hold: Hold) {
///         if this_cpu().1.preempt_off.fetch_sub(1, Ordering::Relaxed) == 1 {
///             reschedule_if_due();
///         }
///     }
///     fn current(&self) -> Option<CpuLevel> {
///         let (number, cpu) = this_cpu();
///         let level = u8::try_from(cpu.handlers.load(Ordering::Relaxed)).ok()?;
///         Some(CpuLevel { cpu: CpuId::new(number), level })
///     }
///     fn count(&self) -> CpuCount {
///         CpuCount::new(2).unwrap()
///     }
/// }
///
/// let hold = Kernel.hold();
/// assert_eq!(CPUS[0].preempt_off.load(Ordering::Relaxed), 1);
/// assert_eq!(Kernel.current().unwrap().level, 0);
/// Kernel.release(hold);
/// assert_eq!(CPUS[0].preempt_off.load(Ordering::Relaxed), 0);
/// ```
pub trait CpuIdentity {
    /// Keeps everybody else away from the place that [`current`](Self::current) names from now on, until
    /// [`release`](Self::release). By itself it does nothing.
    #[inline]
    fn hold(&self) -> Hold {
        Hold::NOTHING
    }

    /// Ends a [`hold`](Self::hold), and leaves everything as it was then. By itself it does nothing.
    #[inline]
    fn release(&self, hold: Hold) {
        let _ = hold;
    }

    /// The running CPU and level, if known: the place that code has while it [holds](Self::hold). Allocators ask in between
    /// alone.
    fn current(&self) -> Option<CpuLevel>;

    /// The running CPU, if it is known, whether or not its level is: the CPU that a violation names, and by which faults
    /// that come again and again are counted. Nothing is written that relies on it, so it is asked without a
    /// [`hold`](Self::hold), and other code may run on the CPU meanwhile. A kernel that always knows the CPU, but not always
    /// a level, says so here.
    ///
    /// By it CPUs that allocate pages and have met go to places of their own; where it is not known, by the stack that each runs on.
    fn cpu(&self) -> Option<CpuId> {
        self.current().map(|current| current.cpu)
    }

    /// Allocators call this on a slow path after `current` said `None`, holding nothing: where CPUs get their numbers on
    /// demand (threads in the place of CPUs, say), this one may get its own now. By itself it does nothing.
    fn bind(&self) {}

    /// Lends the places of CPUs that nobody is: calls `each` with the number of every CPU that runs no code at any level
    /// now (one that is down, or the number of a thread that has ended), and keeps that number from being given out, by
    /// [`bind`](Self::bind) or otherwise, until `each` returns. By itself it lends none. Nothing is held meanwhile.
    ///
    /// What the last holder of a number did happens before the call of `each`, and what `each` does before whatever the
    /// next holder does. Several may lend at once, each number to one of them at a time; a number that cannot be had
    /// without waiting is left out. Callable in any context in which the allocators above drain.
    ///
    /// So whoever drains an allocator reaches the magazines that CPUs left behind
    /// ([`Slab::drain`](crate::slab::Slab::drain)).
    fn lend_idle(&self, each: &mut dyn FnMut(CpuId)) {
        let _ = each;
    }

    /// How many CPUs there can be: every index that `current` gives is below. [`Arena::new`](crate::Arena::new) refuses
    /// a layout that was made for fewer.
    fn count(&self) -> CpuCount;
}

/// Whoever has one holds its place, and releases it by dropping it: on every path, once, where it was held.
///
/// Two compiler fences keep what relies on the place between the two, whatever an identity is made of. No more is needed:
/// whoever is kept away would run on this same CPU, which sees its own accesses in order.
pub(crate) struct Held<'a, C: CpuIdentity> {
    cpus: &'a C,
    hold: Hold,
}

impl<'a, C: CpuIdentity> Held<'a, C> {
    #[inline]
    pub(crate) fn new(cpus: &'a C) -> Self {
        let hold = cpus.hold();
        compiler_fence(Ordering::SeqCst);
        Self { cpus, hold }
    }

    /// The place that is held, if the identity can name it.
    #[inline]
    pub(crate) fn place(&self) -> Option<CpuLevel> {
        self.cpus.current()
    }
}

impl<C: CpuIdentity> Drop for Held<'_, C> {
    #[inline]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.cpus.release(mem::replace(&mut self.hold, Hold::NOTHING));
    }
}
