//! The record of violations under writers and readers on all CPUs: each record is whole, and none is lost uncounted.
//!
//! Every writer names itself in what it does: its number is in the address, and the program that it says it works for is
//! computed from the address. So a record that was put together from two shows.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::{
    ArenaPtr, FreeError, GUARD_SIZE, Owner, PageCount, ProgramId, Violation, ViolationKind, WINDOW_SIZE,
};
use support::probe_instructions;

use super::{Told, races};
use crate::check::{Checked, Failure, equal, holds};
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{REGION, Site};

races! {
    every_record_of_a_violation_is_whole_and_counted in 64 pages,
}

/// What each CPU does in a round: so many things.
const TURNS: (u32, u32) = (1500, 6000);
/// The first region that is touched.
const FIRST_REGION: u64 = 16;

/// The program that is to be named with an address.
fn program(offset: u64) -> Option<ProgramId> {
    let bits = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    ProgramId::new((bits & 0x7fff_ffff) as u32 | 1)
}

/// Which numbers were drained in this round.
struct Seen {
    first: AtomicU64,
    words: Vec<AtomicU64>,
    drained: AtomicU64,
}

fn every_record_of_a_violation_is_whole_and_counted(site: &Site) -> Told {
    // At most one violation for each turn.
    let words = (site.cpus * site.of(TURNS)).div_ceil(64);
    let seen = Seen {
        first: AtomicU64::new(0),
        words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        drained: AtomicU64::new(0),
    };
    let turns = |player: &mut Player<'_>| (0..site.of(TURNS)).try_for_each(|_| turn(player, &seen));
    let end = |_: &mut Player<'_>| {
        while let Some(violation) = site.violation() {
            seen.check(site, &violation)?;
        }
        let stats = site.arena.stats();
        let drained = seen.drained.load(Ordering::Relaxed);
        equal("violations drained and lost", drained + stats.violations_lost, stats.violations)?;
        seen.first.store(stats.violations, Ordering::Relaxed);
        seen.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        site.reclaim();
        Ok(())
    };
    let rounds = site.play((10, 30), &|| true, &[All(&turns), One(&end)])?;
    let stats = site.arena.stats();
    let drained = seen.drained.into_inner();
    Ok(format!("{rounds} rounds, {} violations, {drained} drained, {} lost", stats.violations, stats.violations_lost))
}

fn turn(player: &mut Player<'_>, seen: &Seen) -> Checked {
    match player.random.below(32) {
        0 => touch(player),
        1..=16 => free_wrongly(player),
        _ => player.site.violation().map_or(Ok(()), |violation| seen.check(player.site, &violation)),
    }
}

/// A free of no page's address: bits 3:1 name the CPU.
fn free_wrongly(player: &mut Player<'_>) -> Checked {
    let offset = player.random.below(1 << 28) << 4 | player.number << 1 | 1;
    let _scope = player.site.arena.work_for(program(offset.into()));
    let answer = player.site.free_at(ArenaPtr::new(offset).unwrap(), PageCount::ONE, Owner::Kernel);
    equal("a free inside a page", answer, Err(FreeError::Misaligned))
}

/// An access to a region, or to the upper guard: bits 5:3 name the CPU, bit 6 says whether it is a write.
fn touch(player: &mut Player<'_>) -> Checked {
    let place = if player.random.one_in(8) {
        WINDOW_SIZE + u64::from(player.random.below(8)) * (GUARD_SIZE / 8)
    } else {
        (FIRST_REGION + u64::from(player.random.below(2000))) * REGION
    };
    let own = u64::from(player.number) << 3;
    if player.random.one_in(2) {
        let offset = place + own + 64;
        let _scope = player.site.arena.work_for(program(offset));
        player.site.writes(offset, 0)
    } else {
        let _scope = player.site.arena.work_for(program(place + own));
        player.site.reads(place + own, 0)
    }
}

impl Seen {
    /// A record that was drained is whole, and was not drained before.
    fn check(&self, site: &Site, violation: &Violation) -> Checked {
        self.drained.fetch_add(1, Ordering::Relaxed);
        let offset = violation.address.value() - site.address(0).value();
        let [_, _, read, _, _, write] = probe_instructions();
        let (cpu, instruction) = match violation.kind {
            ViolationKind::InvalidFree => (offset >> 1 & 7, 0),
            ViolationKind::Read => (offset >> 3 & 7, read),
            ViolationKind::Write => (offset >> 3 & 7, write),
            ViolationKind::Object(_) => return Err(Failure::new("an object is recorded, and there are none here")),
        };
        let expected = (Some(cpu), instruction, program(offset));
        let found = (violation.cpu.map(|cpu| cpu.number().into()), violation.instruction.value(), violation.program);
        equal("CPU, instruction and program of a record", found, expected)?;
        if violation.kind != ViolationKind::InvalidFree {
            equal("what was recorded", violation.kind == ViolationKind::Write, offset & 64 != 0)?;
        }
        let number = violation.sequence.wrapping_sub(self.first.load(Ordering::Relaxed));
        let index = usize::try_from(number / 64).map_err(|_| Failure::new("no such number"))?;
        let word = self.words.get(index).ok_or_else(|| Failure::new("a record of another round"))?;
        let before = word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        holds("each record is drained once", before >> (number % 64) & 1 == 0)
    }
}
