//! The heap's operations, interrupted at their instructions by somebody who uses the same heap one interrupt level
//! higher.
//!
//! Whoever comes between takes blocks of the operation's own class and of others, looks at what it kept from the visit
//! before and gives it back, now and then takes runs of pages, empties the magazines of its level and retires slabs,
//! and makes wild accesses to the arena. Afterwards the operation's answer must be right, every block hold what was
//! written, and totals, pages and frames add up, when all is given back.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use kernel_arena::slab::Mode;
use support::println;

use crate::bench::Bench;
use crate::check::{Checked, Failure, equal, holds};
use crate::interrupt::{Schedule, interrupt, trace};

mod guest;
mod ledger;
mod operations;
mod place;

use guest::Guest;
pub(crate) use operations::OPERATIONS;
use place::{Block, Place};

/// An operation of the heap, in some shape.
#[derive(Debug)]
pub(crate) struct HeapOperation {
    /// Its name.
    pub(crate) name: &'static str,
    /// The heap's mode.
    mode: Mode,
    /// Bytes of the block that it is about.
    size: usize,
    /// So many blocks of that size are taken before, and so many given back; an operation that is about a block has the
    /// last one.
    before: (u32, u32),
    /// So many are taken again.
    again: u32,
    /// Whether magazines are emptied then.
    is_drained: bool,
    /// The call.
    call: Call,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Alloc,
    AllocZeroed,
    AllocChecked,
    Free,
    FreeChecked,
    Resize,
    Drain,
}

/// Steps of all runs with one visit each, about: where each instruction would be more, it is one of so many.
const STEPS: u64 = 750_000;
/// Steps of all runs with many visits.
const STEPS_OF_MANY: u64 = 200_000;
/// A visit at each so many points: more than an operation takes from looking for pages to having them, for who takes
/// them away each time would keep it for ever.
const STRIDE: u64 = 997;
/// At least so many runs, which begin at different points.
const PHASES: (u64, u64) = (4, 24);
/// Room for the instructions of an operation.
const TRACE: usize = 64 << 10;

/// One guest, run after run, before each instruction that the operation executes when nobody comes, or one of so many;
/// then guests again and again.
pub(crate) fn guests(bench: &Bench, operation: &HeapOperation) -> Checked {
    let (mut points, mut every) = (Vec::new(), 1);
    bench.with_heap(operation.mode, |place| {
        if !operation.is_first() {
            // The bookkeeping for it was made before.
            run_once(place, operation, Schedule::Once(u64::MAX))?;
        }
        points = trace_points(place, operation)?;
        let steps: u64 = points.iter().sum();
        every = usize::try_from(steps.div_ceil(STEPS)).map_or(1, |every| every.max(1));
        if operation.is_first() {
            return Ok(());
        }
        points.iter().step_by(every).try_for_each(|point| once(place, operation, *point))
    })?;
    if operation.is_first() {
        // On a heap of its own each time, so that bookkeeping is made, too.
        for point in points.iter().step_by(every) {
            bench.with_heap(operation.mode, |place| once(place, operation, *point))?;
        }
    }
    bench.with_heap(operation.mode, |place| {
        let (mut most, mut visits) = (0, 0);
        let length = points.last().map_or(1, |last| last + 1);
        let phases = (STEPS_OF_MANY / length).clamp(PHASES.0, PHASES.1);
        for phase in (0..phases).map(|number| number * STRIDE / phases) {
            let (points, came) = run_once(place, operation, Schedule::EachOf { stride: STRIDE, phase })?;
            (most, visits) = (most.max(points), visits + came);
        }
        println!(
            "points {}: {} instructions, a guest at one of {every}; {most} points at most and {visits} visits by many guests",
            operation.name,
            points.len(),
        );
        holds("many guests came", visits > 0)
    })
}

/// One guest.
fn once(place: &Place<'_>, operation: &HeapOperation, point: u64) -> Checked {
    let (_, visits) = run_once(place, operation, Schedule::Once(point))?;
    equal("visits", visits, 1)
}

/// The points at which an instruction is executed for the first time when nobody comes.
fn trace_points(place: &Place<'_>, operation: &HeapOperation) -> Result<Vec<u64>, Failure> {
    let mut instructions = Vec::with_capacity(TRACE);
    let mut held = place.prepare(operation)?;
    let last = operation.block(&mut held);
    let answer = trace(&mut instructions, || call(place, operation, last));
    held.into_iter().chain(answer.flatten()).for_each(|block| place.give_back(operation, block));
    place.clean()?;
    if instructions.len() == TRACE {
        return Err(Failure::new("the operation is too long to be traced"));
    }
    let mut seen = BTreeSet::new();
    Ok((0..).zip(&instructions).filter(|(_, instruction)| seen.insert(**instruction)).map(|(point, _)| point).collect())
}

/// A hot path has no loop in which it could lose: guests come before each of its instructions, in one run.
pub(crate) fn guests_at_each(bench: &Bench, operation: &HeapOperation) -> Checked {
    bench.with_heap(operation.mode, |place| {
        let (points, visits) = run_once(place, operation, Schedule::Every)?;
        equal("visits, one a point", visits, points)
    })
}

impl HeapOperation {
    /// Whether it touches magazines alone.
    pub(crate) fn is_hot(&self) -> bool {
        self.name.ends_with("_hot")
    }

    /// Whether it is the first on its heap that makes bookkeeping.
    fn is_first(&self) -> bool {
        self.before.0 == 0
    }

    /// The block that it is about, of those that are held.
    fn block(&self, held: &mut Vec<Block>) -> Option<Block> {
        let is_about_one = matches!(self.call, Call::Free | Call::FreeChecked | Call::Resize);
        if is_about_one { held.pop() } else { None }
    }
}

/// Runs an operation once, lets guests in, checks, and takes everything back; how many points and visits there were.
fn run_once(place: &Place<'_>, operation: &HeapOperation, schedule: Schedule) -> Result<(u64, u64), Failure> {
    let mut held = place.prepare(operation)?;
    let live = place.stats().live_bytes;
    let last = operation.block(&mut held);
    let guest = Guest::new(place, operation.size);
    let (answer, tally) = interrupt(schedule, &|visit| guest.visit(visit), || call(place, operation, last));
    tally.check()?;
    guest.leave()?;
    let answer = answer.ok_or_else(|| Failure::new("there is memory, but the operation found none"))?;

    if operation.mode == Mode::Fast {
        // In the debug mode what was freed waits in quarantine, and counts.
        let change = |block: Option<Block>| block.map_or(0, Block::rounded);
        equal("bytes that are live", place.stats().live_bytes, live + change(answer) - change(last))?;
    }
    if operation.call == Call::AllocZeroed {
        holds("the block is zero", answer.is_some_and(|block| block.is_zero(place)))?;
    }
    if let (Call::Resize, Some(block)) = (operation.call, answer) {
        holds("the block keeps its contents", block.holds(place, operation.size))?;
    }
    for block in &held {
        holds("a block that nobody touched is as it was", block.holds(place, block.size()))?;
    }
    let answer = answer.map(|block| block.filled(place));
    holds("the new block is alone", held.iter().all(|block| block.holds(place, block.size())))?;
    held.extend(answer);
    for block in held {
        holds("a block holds what was written", block.holds(place, block.size()))?;
        place.give_back(operation, block);
    }
    place.clean().map_err(|why| Failure::new(format!("{:?}: {why}", operation.call)))?;
    Ok((tally.points, tally.visits))
}

/// Makes the call: none if it failed, else the block that there is now.
fn call(place: &Place<'_>, operation: &HeapOperation, last: Option<Block>) -> Option<Option<Block>> {
    match (operation.call, last) {
        (Call::Alloc, None) => place.alloc(operation.size).map(Some),
        (Call::AllocZeroed, None) => place.alloc_zeroed(operation.size).map(Some),
        (Call::AllocChecked, None) => place.alloc_checked(operation.size).map(Some),
        (Call::Free, Some(block)) => {
            place.free(block);
            Some(None)
        }
        (Call::FreeChecked, Some(block)) => place.free_checked(block).then_some(None),
        (Call::Resize, Some(block)) => place.resize(block, 2 * operation.size).map(Some),
        (Call::Drain, None) => {
            place.heap.drain();
            Some(None)
        }
        _ => None,
    }
}
