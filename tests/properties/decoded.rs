//! Scenarios from any bytes: what the fuzz target `operations` plays.
//!
//! Each byte or two decide one thing, and where they end the scenario does: a fuzzer that changes, inserts or drops some
//! changes a step, or what is in its middle. The figures are the strategies' ([`tasks`](super::tasks)), which say more of why.

use arbitrary::{Result, Unstructured};
use kernel_arena::arch::aarch64::AArch64;
use kernel_arena::arch::portable::Portable;
use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{Context, Owner};

use super::rest::play;
use super::tasks::{Flaw, Interrupt, Kind, Op, Scenario, Shape, Step, Target, Task, Trouble, Via, When, Whose};
use crate::fuzzed::{Shown, one_in, sequence};
use crate::machine::{Point, TlbMode};

/// Steps of a scenario: what a few milliseconds are enough for.
const MOST: usize = 16;

/// Plays the scenario that the bytes come to, in the format that they say.
pub(crate) fn operations(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok((format, scenario)) = decode(&mut bytes) else { return };
    let _shown = Shown(&scenario);
    match format {
        0 => play::<X86_64>(&scenario),
        1 => play::<AArch64>(&scenario),
        _ => play::<Portable>(&scenario),
    }
}

fn decode(from: &mut Unstructured) -> Result<(u8, Scenario)> {
    Ok((from.int_in_range(0..=2)?, Scenario { shape: shape(from)?, steps: sequence(from, MOST, step)? }))
}

fn shape(from: &mut Unstructured) -> Result<Shape> {
    let (first_page, pages) = *from.choose(&[(1, 5), (509, 6), (1000, 40), (450, 150)])?;
    Ok(Shape {
        first_page,
        pages,
        arenas: from.int_in_range(1..=2)?,
        views: from.int_in_range(0..=2)?,
        tlb: *from.choose(&[TlbMode::Random, TlbMode::Eager, TlbMode::Lazy])?,
        seed: from.arbitrary::<u16>()?.into(),
    })
}

fn step(from: &mut Unstructured) -> Result<Step> {
    let task = task(from)?;
    let trouble = match from.int_in_range(0..=15_u8)? {
        0 => Trouble::FailAt(from.int_in_range(0..=3)?),
        1 => Trouble::Left(from.int_in_range(0..=3)?),
        _ => Trouble::None,
    };
    let interrupts = *from.choose(&[0, 0, 1, 1, 2, 4])?;
    let interrupts = (0..interrupts).map(|_| interrupt(from)).collect::<Result<_>>()?;
    Ok(Step { task, trouble, interrupts })
}

fn interrupt(from: &mut Unstructured) -> Result<Interrupt> {
    use Point::*;
    let points = [FrameAlloc, FrameFree, BeforeFlush, AfterFlush, CpuIdentity, PhysMap];
    let at = if one_in(from, 4)? { Some(*from.choose(&points)?) } else { None };
    Ok(Interrupt { at, after: from.int_in_range(0..=40)?, task: task(from)? })
}

fn task(from: &mut Unstructured) -> Result<Task> {
    Ok(Task {
        op: op(from)?,
        cpu: from.int_in_range(0..=2)?,
        tag: from.int_in_range(0..=2)?,
        arena: if one_in(from, 4)? { 1 } else { 0 },
        program: from.int_in_range(0..=2)?,
        nameless: one_in(from, 12)?,
        upper_half: if one_in(from, 4)? { Some(from.arbitrary()?) } else { None },
    })
}

fn op(from: &mut Unstructured) -> Result<Op> {
    Ok(match from.int_in_range(0..=35_u8)? {
        0..8 => Op::Alloc {
            count: count(from)?,
            align: *from.choose(&[1, 1, 1, 1, 1, 2, 4, 16, 1024, 0, 3, 64, 1 << 19])?,
            exactly: if one_in(from, 4)? { Some(target(from)?) } else { None },
            owner: owner(from)?,
            context: *from.choose(&[Context::MayWait, Context::Any])?,
        },
        8..15 => Op::Free {
            target: target(from)?,
            count: count(from)?,
            whose: if one_in(from, 10)? { Whose::Not(owner(from)?) } else { Whose::Owner },
            when: *from.choose(&[When::Now, When::Deferred])?,
            flaw: flaw(from)?,
        },
        15..18 => Op::Reserve { target: target(from)?, count: count(from)?, owner: owner(from)?, flaw: flaw(from)? },
        18..21 => Op::Reclaim,
        21..30 => Op::Access {
            target: target(from)?,
            word: from.choose_index(super::model::WORDS.len())?,
            kind: *from.choose(&[Kind::Read, Kind::Write])?,
            via: *from.choose(&[
                Via::Kernel,
                Via::Kernel,
                Via::Kernel,
                Via::Program,
                Via::KernelInProgramView,
                Via::UserInKernelView,
            ])?,
        },
        30 => Op::Drain(from.int_in_range(0..=69)?),
        31 => Op::Flood(from.int_in_range(1..=69)?),
        32 => Op::Create,
        33..35 => Op::Attach {
            rights: *from.choose(&[ViewRights::ReadWrite, ViewRights::ReadOnly])?,
            policy: *from.choose(&[FaultPolicy::Segv, FaultPolicy::Lazy])?,
        },
        _ => Op::Detach,
    })
}

fn target(from: &mut Unstructured) -> Result<Target> {
    let kind = from.int_in_range(0..=7_u8)?;
    let number = from.arbitrary::<u8>()?.into();
    Ok(match kind {
        0..2 => Target::Page(number),
        2..5 => Target::Owned(number),
        5..7 => Target::Interrupted(number % 4),
        _ => Target::Elsewhere(number),
    })
}

/// Batches have 64 pages: counts about that, too.
fn count(from: &mut Unstructured) -> Result<u32> {
    Ok(match from.arbitrary::<u8>()? {
        one @ 0..200 => u32::from(one % 6),
        some @ 200..230 => u32::from(some - 196),
        many => u32::from(many - 170),
    })
}

fn owner(from: &mut Unstructured) -> Result<Owner> {
    Ok(*from.choose(&[Owner::Program, Owner::Program, Owner::Kernel, Owner::Allocator])?)
}

fn flaw(from: &mut Unstructured) -> Result<Flaw> {
    Ok(match from.int_in_range(0..=20_u8)? {
        0 => Flaw::Misaligned,
        1 => Flaw::Outside,
        _ => Flaw::None,
    })
}
