//! The record of violations: what an operation must have left in it, and what is taken out of it.

use kernel_arena::{Violation, ViolationKind};

use super::model::Recorded;
use super::run::{Action, Run};
use super::world::Oracle;

impl Oracle {
    /// A free by the operation that is going on was refused, or lost a race: a violation.
    pub(super) fn refused_free(&mut self, offset: u32) {
        let run = self.runs.last().expect("it is going on");
        let model = &mut self.models[run.arena];
        let (address, kind) = (model.base + u64::from(offset), ViolationKind::InvalidFree);
        let (cpu, program) = (run.cpu, run.program);
        model.violation(Recorded { address, kind, instruction: 0, cpu, program, sequence: 0 });
    }

    /// The oldest, each as it was recorded.
    pub(super) fn drained(&mut self, run: &Run, taken: &[Violation]) {
        let model = &mut self.models[run.arena];
        let Action::Drain(asked) = run.action else { unreachable!() };
        assert_eq!(taken.len(), model.record.len().min(asked as usize), "{taken:?}, not {:?}", model.record);
        for violation in taken {
            let expected = model.record.pop_front().expect("counted above");
            let recorded = Recorded {
                address: violation.address.value(),
                kind: violation.kind,
                instruction: violation.instruction.value(),
                cpu: violation.cpu,
                program: violation.program,
                sequence: violation.sequence,
            };
            assert_eq!(recorded, expected);
        }
    }
}
