//! The passes: who interrupts an operation, where, and what must come of it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use kernel_arena::ProgramId;
use support::println;

use crate::bench::Bench;
use crate::check::{Checked, Failure, equal, holds};
use crate::interrupt::{Schedule, trace};
use crate::intruder::{Frames, Visitor};
use crate::operations::{Growth, Operation, Where};
use crate::run::{Ran, run_once};
use crate::site::{FRESH, Site};

/// A way of interrupting.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Its name.
    pub(crate) name: &'static str,
    /// Tries it on an operation.
    pub(crate) body: fn(&Bench, &Operation) -> Checked,
}

/// All of them.
pub(crate) const PASSES: &[Pass] = &[
    Pass { name: "wild_access_at_each_instruction", body: wild_accesses },
    Pass { name: "every_call_of_any_context_at_each_instruction", body: calls },
    Pass { name: "calls_that_wait_at_each_instruction_too", body: waits },
    Pass { name: "access_to_its_own_page_at_any_one_instruction", body: own_page },
];

/// Pages for an intruder that touches new ones at each point.
const MANY: u32 = 24 << 10;
/// Pages where what was touched is soon healed.
const FEW: u32 = FRESH + 768;

/// Where an operation grows by each visit, one run has a visit at each so many points. More than healing one page takes.
const STRIDE: u64 = 256;

/// Where an intruder takes frames, one run has a visit at each so many points. More than it takes an operation to get one.
const PHASES: u64 = 16;

/// Room for the instructions of an operation.
const TRACE: usize = 64 << 10;

/// Operations of so many instructions are long: each run steps up to its point.
const LONG: usize = 3000;

/// For whom the kernel works while it is interrupted.
const INTERRUPTED: ProgramId = ProgramId::new(7).unwrap();

/// At each point a wild access to a page that nobody has touched yet: exactly so many faults.
fn wild_accesses(bench: &Bench, operation: &Operation) -> Checked {
    let runs: Vec<Schedule> = match operation.growth {
        Growth::None => Vec::from([Schedule::Every]),
        Growth::EachVisit => (0..STRIDE).map(|phase| Schedule::EachOf { stride: STRIDE, phase }).collect(),
    };
    bench.with_arena(if operation.growth == Growth::None { MANY } else { FEW }, |site| {
        let (mut points, mut visits) = (0, 0);
        for &schedule in &runs {
            let visitor = Visitor::new(site, Frames::None);
            let ran = run_once(bench, site, operation, schedule, &|visit| visitor.wild(visit), Where::Elsewhere)?;
            exact(&ran, 1)?;
            holds("there were points", ran.tally.visits > 0)?;
            if runs.len() == 1 {
                equal("visits, one a point", ran.tally.visits, ran.tally.points)?;
            }
            points = points.max(ran.tally.points);
            visits += ran.tally.visits;
        }
        let shared = if runs.len() == 1 { "" } else { " at most, shared out among many runs" };
        println!("points {}: {points}{shared}; wild accesses and faults: {visits}", operation.name);
        Ok(())
    })
}

/// At each point every operation for any context. Where that makes the operation longer, everything is reclaimed again.
fn calls(bench: &Bench, operation: &Operation) -> Checked {
    match operation.growth {
        Growth::None => in_phases(bench, operation, MANY, Where::Elsewhere, |visitor, visit| visitor.call(visit)),
        Growth::EachVisit => {
            in_phases(bench, operation, FEW, Where::Everywhere, |visitor, visit| visitor.call_and_reclaim(visit))
        }
    }
}

/// As `calls`, and at each point those that may wait, too: `free_pages`, `alloc_pages` over scratch, and `reclaim`.
fn waits(bench: &Bench, operation: &Operation) -> Checked {
    in_phases(bench, operation, FEW, Where::Everywhere, |visitor, visit| visitor.wait(visit))
}

/// An intruder at each point; then, run after run, one that takes frames, too, at points that lie apart.
fn in_phases(
    bench: &Bench,
    operation: &Operation,
    pages: u32,
    place: Where,
    intrude: fn(&Visitor<'_>, u64) -> Result<(), &'static str>,
) -> Checked {
    let apart = (0..PHASES).map(|phase| (Schedule::EachOf { stride: PHASES, phase }, Frames::Some));
    bench.with_arena(pages, |site| {
        let _scope = site.arena.work_for(Some(INTERRUPTED));
        let (mut visits, mut points) = (0, 0);
        for (schedule, frames) in core::iter::once((Schedule::Every, Frames::None)).chain(apart) {
            let visitor = Visitor::new(site, frames);
            let ran = run_once(bench, site, operation, schedule, &|visit| intrude(&visitor, visit), place)?;
            equal("violations, all recorded", (ran.violations, ran.violations_lost), (visitor.caused(), 0))?;
            if frames == Frames::None {
                equal("visits, one a point", ran.tally.visits, ran.tally.points)?;
                points = ran.tally.points;
            } else {
                visits += ran.tally.visits;
            }
        }
        holds("every point had a visit that took frames", visits + PHASES >= points)
    })
}

/// Run after run, an access to the operation's own page at one point, and changes to the same words of the bitmaps: before each
/// instruction that it executes, the first time and, unless it is a long operation, the second.
fn own_page(bench: &Bench, operation: &Operation) -> Checked {
    bench.with_arena(FRESH, |site| {
        let (mut runs, mut faults) = (0u64, 0);
        for point in places(site, operation)? {
            let visitor = Visitor::new(site, Frames::None);
            let intruder = |_| visitor.crowd(operation.victim);
            let ran = run_once(bench, site, operation, Schedule::Once(point), &intruder, Where::Victim)?;
            equal("visits", ran.tally.visits, 1)?;
            (runs, faults) = (runs + 1, faults + visitor.own_faults());
        }
        println!("places {}: {runs}; faults on its own page: {faults}", operation.name);
        holds("some of the accesses were faults", faults > 0)
    })
}

/// The points at which an instruction is executed for the first time, or, unless there are many, for the second.
fn places(site: &Site<'_>, operation: &Operation) -> Result<Vec<u64>, Failure> {
    let mut instructions = Vec::with_capacity(TRACE);
    (operation.prepare)(site)?;
    trace(&mut instructions, || (operation.run)(site));
    crate::run::clean(site)?;
    if instructions.len() == TRACE {
        return Err(Failure::new("the operation is too long to be traced"));
    }
    let often = if instructions.len() < LONG { 2 } else { 1 };
    let mut times = BTreeMap::new();
    let mut is_new = |instruction: &u64| {
        let seen: &mut u32 = times.entry(*instruction).or_default();
        *seen += 1;
        *seen <= often
    };
    Ok((0u64..).zip(&instructions).filter(|(_, instruction)| is_new(instruction)).map(|(point, _)| point).collect())
}

/// Checks that each visit was so many faults, and each of them a violation.
fn exact(ran: &Ran, each: u64) -> Checked {
    equal("faults", ran.tally.faults, ran.tally.visits * each)?;
    equal("violations", ran.violations, ran.tally.visits * each)?;
    holds("no fault was spurious that came from outside", ran.spurious <= 1)?;
    equal("installs lost", ran.lost_installs, 0)
}
