//! For which program the kernel works at the moment, so that a violation can name it, and how many there were meanwhile.
//!
//! Naming and counting is all it does: recovery never depends on it, and a fault without a scope is recovered the same. A scope
//! belongs to the CPU on which it was opened; one word per CPU says who it is, and counts.

use core::marker::PhantomData;
use core::num::NonZeroU32;
use core::sync::atomic::{Ordering as CoreOrdering, compiler_fence};

use crate::cpus::CpuWords;
use crate::sync::{AtomicU64, Ordering};

/// A program, by the number that the kernel gives it; never 0.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgramId(NonZeroU32);

impl ProgramId {
    /// The program with this number, or `None` for 0.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

/// Who a CPU works for: 0, or the number of a program, and above it how many violations there were in the scope. Of CPUs that
/// share their words it is 0.
///
/// Relaxed throughout: a word is read by faults on its own CPU, which come after, in program order, what they interrupt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningProgram<'a>(&'a AtomicU64);

impl<'a> RunningProgram<'a> {
    /// On the CPU whose words these are.
    #[inline]
    pub(crate) const fn on(cpu: &'a CpuWords) -> Self {
        Self(&cpu.running)
    }

    /// The program.
    #[inline]
    pub(crate) fn program(self) -> Option<ProgramId> {
        program_in(self.0.load(Ordering::Relaxed))
    }

    /// The program, to whose scope a violation more is counted.
    #[inline]
    pub(crate) fn charge(self) -> Option<ProgramId> {
        let program = self.program()?;
        // What interrupts between the look and this has closed its own scopes when it returns.
        self.0.fetch_add(ONE_VIOLATION, Ordering::Relaxed);
        Some(program)
    }

    /// Counts a violation of `program` to the scope that is open for it, if one is.
    #[inline]
    pub(crate) fn count(self, program: Option<ProgramId>) {
        if program.is_some() && self.program() == program {
            // As in `charge`.
            self.0.fetch_add(ONE_VIOLATION, Ordering::Relaxed);
        }
    }
}

const VIOLATIONS_SHIFT: u32 = 32;
const ONE_VIOLATION: u64 = 1 << VIOLATIONS_SHIFT;

fn program_in(word: u64) -> Option<ProgramId> {
    ProgramId::new((word & 0xffff_ffff) as u32)
}

/// As long as it lives, violations on this CPU name the program that it was opened for.
///
/// Holding one proves nothing about the program. Scopes nest like calls: what runs on a CPU in between, an interrupt handler
/// or another thread, must have closed its own before this one goes on, and the holder must not move to another CPU.
#[derive(Debug)]
#[must_use = "the program is named only as long as the scope lives"]
pub struct ProgramScope<'a> {
    word: Option<&'a AtomicU64>,
    before: u64,
    /// Neither `Send` nor `Sync`: it belongs to the CPU on which it was opened.
    cpu_bound: PhantomData<*const ()>,
}

impl<'a> ProgramScope<'a> {
    /// Says who a CPU works for from now on, if it has words of its own.
    pub(crate) fn enter(cpu: Option<&'a CpuWords>, program: Option<ProgramId>) -> Self {
        let word = cpu.map(|cpu| &cpu.running);
        let now = program.map_or(0, |program| u64::from(program.number()));
        let before = word.map_or(0, |word| word.swap(now, Ordering::Relaxed));
        // The accesses inside the scope must not move out of it: they are what faults.
        compiler_fence(CoreOrdering::SeqCst);
        Self { word, before, cpu_bound: PhantomData }
    }
}

impl ProgramScope<'_> {
    /// How many violations named the program since this scope was opened, on its CPU; those in scopes within it are theirs. None
    /// are seen where the kernel cannot name the CPU. It wraps after 2^32.
    pub fn violations(&self) -> u32 {
        // An access that faults is, to the compiler, one that writes nothing, and this load might be moved before it.
        compiler_fence(CoreOrdering::SeqCst);
        self.word.map_or(0, |word| (word.load(Ordering::Relaxed) >> VIOLATIONS_SHIFT) as u32)
    }
}

impl Drop for ProgramScope<'_> {
    fn drop(&mut self) {
        compiler_fence(CoreOrdering::SeqCst);
        if let Some(word) = self.word {
            word.store(self.before, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;
    use crate::cpus::tests::cpus;
    use crate::platform::CpuId;

    #[test]
    fn scopes_nest_and_belong_to_their_cpu() {
        let cpus = cpus(2);
        let (zero, one) = (Some(CpuId::new(0)), Some(CpuId::new(1)));
        let (a, b) = (ProgramId::new(7), ProgramId::new(u32::MAX));
        let on = |cpu| RunningProgram::on(cpus.of(cpu)).program();
        assert_eq!(on(zero), None);
        let outer = ProgramScope::enter(cpus.named(zero), a);
        {
            let _interrupt = ProgramScope::enter(cpus.named(zero), None);
            assert_eq!(on(zero), None);
            let _nested = ProgramScope::enter(cpus.named(zero), b);
            assert_eq!((on(zero), on(one)), (b, None));
        }
        assert_eq!(on(zero), a);
        drop(outer);
        assert_eq!(on(zero), None);
    }

    #[test]
    fn an_unknown_cpu_names_nobody() {
        let cpus = cpus(1);
        for cpu in [None, Some(CpuId::new(1))] {
            let _scope = ProgramScope::enter(cpus.named(cpu), ProgramId::new(1));
            assert_eq!(RunningProgram::on(cpus.of(cpu)).program(), None);
        }
    }
}
