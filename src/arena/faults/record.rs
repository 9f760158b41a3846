//! What goes into the record, what comes out, and whose it is.

use crate::addr::KernelAddr;
use crate::arch::Arch;
use crate::arena::Arena;
use crate::cpus::CpuWords;
use crate::platform::{CpuId, Platform};
use crate::programs::{ProgramId, ProgramScope, RunningProgram};
use crate::report;
use crate::violations::{Offence, ProgramHole, Violation, ViolationKind};

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Takes the oldest violation out of the record; `None` when there is none. Context: *any* in which the log may be called,
    /// if a feature asks for one: an NMI handler drains nothing then.
    pub fn take_violation(&self) -> Option<Violation> {
        self.violations.take().inspect(report::drained)
    }

    /// Opens a scope in which violations on this CPU name `program`; with `None` they name nobody, which is what an interrupt
    /// handler wants that may have interrupted a program's work.
    ///
    /// Context: *any*. On a CPU that the kernel cannot name ([`CpuIdentity`](crate::platform::CpuIdentity)), the scope has no effect.
    pub fn work_for(&self, program: Option<ProgramId>) -> ProgramScope<'_> {
        ProgramScope::enter(self.cpus.named(self.cpu()), program)
    }

    /// Records that a program's bytecode accessed what is not there. Each call is a violation of its own, whether the page holds
    /// scratch or not: nothing is installed, so nothing hides the next one. [`Stats::violations`](crate::Stats::violations)
    /// counts it also where the record is full, and so does the [scope](ProgramScope::violations) of its program.
    ///
    /// Context: *any*.
    ///
    /// ```
    /// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
    /// use kernel_arena::{Access, Arena, ProgramHole, ProgramId};
    /// # use kernel::{LAYOUT, MyKernel};
    /// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    /// # let arena: Arena<MyKernel> = Arena::new(MyKernel::boot(), LAYOUT, metadata).unwrap();
    /// let scope = arena.work_for(ProgramId::new(3));
    /// // Its instruction 17 loads 8 bytes from the lower guard.
    /// let hole = ProgramHole { program: None, instruction: 17, offset: -8, access: Access::Read, bytes: 8 };
    /// arena.record_hole(&hole);
    /// assert_eq!(scope.violations(), 1);
    ///
    /// let violation = arena.take_violation().unwrap();
    /// assert_eq!((violation.program, violation.bytecode.unwrap().instruction), (ProgramId::new(3), 17));
    /// assert_eq!(violation.address.value(), LAYOUT.base().value() - 8);
    /// ```
    pub fn record_hole(&self, hole: &ProgramHole) {
        let cpu = self.cpu();
        let running = RunningProgram::on(self.cpus.of(cpu));
        let program = hole.program.or_else(|| running.program());
        self.violations.record(Offence::hole(hole, self.layout.base()).on(cpu).of(program));
        running.count(program);
    }

    /// Records a free that was refused, of what is at this address.
    #[inline(never)]
    pub(crate) fn record_free(&self, address: KernelAddr, kind: ViolationKind) {
        let cpu = self.cpu();
        self.record_here(Offence::free(address, kind), cpu, self.cpus.of(cpu));
    }

    /// Into the ring, and to the account of the program that the CPU, whose words these are, works for.
    #[inline]
    pub(in crate::arena) fn record_here(&self, offence: Offence, cpu: Option<CpuId>, words: &CpuWords) {
        self.violations.record(offence.on(cpu).of(RunningProgram::on(words).charge()));
    }
}
