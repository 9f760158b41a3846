//! Faults against the allocation of the very page (N1, N2).
//!
//! First every CPU reads the pages, so that it has the scratch page in its TLB. Then one CPU allocates them while the others go on
//! writing there. From then on every word that any CPU writes must be read by every other one: a CPU that had kept its
//! old translation would write to the scratch page.

use alloc::format;
use core::sync::atomic::{AtomicU32, Ordering};

use kernel_arena::{AllocError, AllocRequest, Context, Owner};

use super::{Told, races};
use crate::check::{Checked, Failure};
use crate::play::Phase::{All, One};
use crate::play::{Player, pause};
use crate::site::{Site, page, pages, pointer};

races! {
    after_an_allocation_over_scratch_all_cpus_see_the_same_page in 64 pages,
}

/// Pages of a round.
const COUNT: u32 = 8;
/// How often an allocation is tried again that found the page in another's hands: a fault's, again and again, or a reclaim's, whose
/// CPU the host may have stopped.
const TRIES: u32 = 100_000;
/// How long to wait before, in microseconds.
const BETWEEN_US: u32 = 100;
/// How often, at most, another CPU writes to each of the pages meanwhile.
const SWEEPS: u32 = 6;
/// Where in a page CPUs write while it is being allocated.
const WILD: u64 = 512;
/// Where nobody writes.
const UNTOUCHED: u64 = 2048;

fn first_of(site: &Site, round: u32) -> u32 {
    site.first() + round % 2 * COUNT
}

/// What a CPU writes to a page in a round.
fn value(round: u32, cpu: u32, page: u32) -> u64 {
    u64::from(round) << 32 | u64::from(page) << 8 | u64::from(cpu + 1)
}

fn after_an_allocation_over_scratch_all_cpus_see_the_same_page(site: &Site) -> Told {
    let again = AtomicU32::new(0);
    let numbers = |round| (first_of(site, round)..).take(COUNT as usize);
    let touch = |player: &mut Player<'_>| {
        // In some rounds the slots are vacant when the allocation comes, and faults race for them, too.
        if player.round % 4 == 3 {
            return Ok(());
        }
        numbers(player.round).try_for_each(|number| site.read(page(number)).map(drop).ok_or_else(given_up))
    };
    let race = |player: &mut Player<'_>| {
        if player.has_turn() {
            return numbers(player.round).try_for_each(|number| allocate(player, number, &again));
        }
        // Not for ever: as long as faults come faster than shootdowns, an allocation of just this page gets nowhere.
        let own = WILD + 8 * u64::from(player.number);
        for _ in 0..=player.random.below(SWEEPS) {
            for number in numbers(player.round) {
                site.writes(page(number) + own, value(player.round, player.number, number))?;
            }
            // It goes for the same scratch.
            if player.random.one_in(2) {
                site.reclaim();
            }
        }
        Ok(())
    };
    let write = |player: &mut Player<'_>| {
        let (round, cpu) = (player.round, player.number);
        numbers(round).try_for_each(|number| site.writes(page(number) + 8 * u64::from(cpu), value(round, cpu, number)))
    };
    let compare = |player: &mut Player<'_>| {
        for number in numbers(player.round) {
            for cpu in 0..site.cpus {
                site.reads(page(number) + 8 * u64::from(cpu), value(player.round, cpu, number))?;
            }
            site.reads(page(number) + UNTOUCHED, 0)?;
        }
        Ok(())
    };
    let end = |player: &mut Player<'_>| {
        site.arena.validate()?;
        site.free(first_of(site, player.round), COUNT, Owner::Kernel)?;
        site.drain();
        Ok(())
    };
    let phases = [All(&touch), All(&race), All(&write), All(&compare), One(&end)];
    let rounds = site.play((16, 120), &|| site.has_lost_installs(), &phases)?;
    Ok(format!("{rounds} rounds, {} allocations tried again", again.into_inner()))
}

fn given_up() -> Failure {
    Failure::new("an access was given up")
}

/// Allocates one page exactly here, first without waiting if it is the turn for that, and until it succeeds.
fn allocate(player: &Player<'_>, number: u32, again: &AtomicU32) -> Checked {
    let here = AllocRequest::new(pages(1), Owner::Kernel).exactly_at(pointer(number));
    if player.round % 2 == 1 {
        match player.site.alloc(here.in_context(Context::Any)) {
            Ok(_) => return Ok(()),
            Err(AllocError::Busy(_) | AllocError::Tainted { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for _ in 0..TRIES {
        match player.site.alloc(here) {
            Ok(_) => return Ok(()),
            // Faults that came again and again, or this CPU's own attempt that waits for `reclaim`.
            Err(AllocError::Busy(_)) => {}
            Err(AllocError::Taken { .. }) => drop(player.site.reclaim()),
            Err(error) => return Err(error.into()),
        }
        again.fetch_add(1, Ordering::Relaxed);
        pause(BETWEEN_US);
    }
    Err(Failure::new("an allocation was kept from succeeding, again and again"))
}
