//! Interrupting an operation at its instructions.
//!
//! A *point* is a moment before one instruction of the operation. At the points that a [`Schedule`] names, an *intruder* comes:
//! a function that runs in the debug exception, as an interrupt handler or an NMI would, and says whether all that it
//! found was in order. It must not allocate from the kernel's heap.

use core::cell::Cell;

use support::{Step, StepAction, exceptions_taken, single_step};

use crate::check::{Checked, Failure};

/// Whoever comes between: called with the number of its visit, says what was wrong.
pub(crate) type Intruder<'a> = &'a dyn Fn(u64) -> Result<(), &'static str>;

/// No operation here takes so many instructions, unless the intruder keeps it from ever coming to an end.
const TOO_MANY: u64 = 1 << 17;

/// At which points the intruder comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schedule {
    /// At each.
    Every,
    /// At those whose number has this remainder.
    EachOf {
        /// Divided by this.
        stride: u64,
        /// The remainder.
        phase: u64,
    },
    /// At this one; what comes after is not stepped.
    Once(u64),
}

impl Schedule {
    fn names(self, point: u64) -> bool {
        match self {
            Self::Every => true,
            Self::EachOf { stride, phase } => point % stride == phase,
            Self::Once(only) => point == only,
        }
    }
}

/// What happened while an operation was stepped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// Instructions that were stepped.
    pub(crate) points: u64,
    /// How often the intruder came.
    pub(crate) visits: u64,
    /// Page faults or data aborts meanwhile.
    pub(crate) faults: u64,
    /// What the intruder complained about: at which point, before which instruction.
    complaint: Option<(u64, u64, &'static str)>,
}

impl Tally {
    /// Fails if the intruder has complained.
    pub(crate) fn check(&self) -> Checked {
        let Some((point, instruction, what)) = self.complaint else { return Ok(()) };
        Err(Failure::new(alloc::format!("at point {point}, before the instruction at {instruction:#x}: {what}")))
    }
}

/// Runs an operation, and lets the intruder in at the points of the schedule. After a complaint it comes no more.
pub(crate) fn interrupt<R>(schedule: Schedule, intruder: Intruder<'_>, operation: impl FnOnce() -> R) -> (R, Tally) {
    let (points, visits, complaint) = (Cell::new(0), Cell::new(0), Cell::new(None));
    let at_each = |Step { instruction, .. }: Step| {
        let point: u64 = points.replace(points.get() + 1);
        if point > TOO_MANY {
            complaint.set(Some((point, instruction, "the operation does not come to an end")));
            return StepAction::Stop;
        }
        if !schedule.names(point) {
            return StepAction::Continue;
        }
        if let Err(what) = intruder(visits.replace(visits.get() + 1)) {
            complaint.set(Some((point, instruction, what)));
            return StepAction::Stop;
        }
        if matches!(schedule, Schedule::Once(_)) { StepAction::Stop } else { StepAction::Continue }
    };
    let before = exceptions_taken();
    let result = single_step(&at_each, operation);
    let faults = exceptions_taken() - before;
    (result, Tally { points: points.get(), visits: visits.get(), faults, complaint: complaint.get() })
}

/// The instructions that an operation executes, as many of them as `trace` has room for.
pub(crate) fn trace<R>(trace: &mut alloc::vec::Vec<u64>, operation: impl FnOnce() -> R) -> R {
    let room = Cell::new(core::mem::take(trace));
    let result = single_step(
        &|Step { instruction, .. }| {
            let mut seen = room.take();
            // Where there is no room, it would have to come from the heap, which the operation may be using.
            if seen.len() < seen.capacity() {
                seen.push(instruction);
            }
            room.set(seen);
            StepAction::Continue
        },
        operation,
    );
    *trace = room.into_inner();
    result
}
