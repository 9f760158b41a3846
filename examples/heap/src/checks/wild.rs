//! Wild accesses to the arena under the heap: recovered, recorded, and no block suffers.

use alloc::format;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_arena::ViolationKind;

use super::churn::{Tidy, churn};
use super::guests::churn_with_guests;
use super::{Told, checks};
use crate::bench::{Site, violations};
use crate::check::{equal, holds};
use crate::fault::recovered;
use crate::guest::{self, Part, Visits};
use crate::memory::{HEAP, arena};

checks! {
    wild_accesses_of_another_cpu_harm_no_block,
    wild_accesses_of_interrupts_harm_no_block,
    a_wild_access_to_the_heaps_arena_is_recorded_exactly,
}

const ACCESSES: (u32, u32) = (800, 6000);

/// The last CPU makes them; with one CPU, between its steps.
fn wild_accesses_of_another_cpu_harm_no_block(site: &Site) -> Told {
    let (over, faults) = (AtomicBool::new(false), recovered());
    let drained = AtomicU64::new(0);
    site.on_all(|player| {
        if player.number + 1 < site.cpus {
            while !over.load(Ordering::Relaxed) && !site.is_trouble() {
                churn(player, 100, Tidy::Often)?;
            }
            return Ok(());
        }
        for number in 0..site.of(ACCESSES) {
            guest::wild(&mut player.random)?;
            if number % 64 == 0 {
                HEAP.reclaim();
                drained.fetch_add(violations(arena()).count() as u64, Ordering::Relaxed);
            }
            if site.cpus == 1 {
                churn(player, 4, Tidy::Seldom)?;
            }
            if site.is_trouble() {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    guest::clear()?;
    let faults = recovered() - faults;
    holds("many were faults", faults > u64::from(site.of(ACCESSES)) / 4)?;
    Ok(format!("{} wild accesses, {faults} faults recovered, {} drained", site.of(ACCESSES), drained.into_inner()))
}

fn wild_accesses_of_interrupts_harm_no_block(site: &Site) -> Told {
    let (before, over, faults) = (Visits::so_far(), AtomicBool::new(false), recovered());
    guest::with(Part::Rampage, || site.on_all(|player| churn_with_guests(player, before, &over)))?;
    guest::clear()?;
    let (came, faults) = (Visits::so_far().since(before), recovered() - faults);
    holds("guests came, and had faults", came.by_level[1] > 0 && faults > 0)?;
    holds("guests came in the midst of an operation", came.inside > 0)?;
    Ok(format!("guests by level {:?}, {} wild accesses, {faults} faults recovered", &came.by_level[1..], came.wild))
}

fn a_wild_access_to_the_heaps_arena_is_recorded_exactly(_: &Site) -> Told {
    use support::{cpu_id, probe_read_u64, probe_write_u64};

    violations(arena()).for_each(drop);
    // Far behind the extent, in regions that nobody has touched since all was reclaimed.
    let base = arena().layout().base().value();
    for (number, kind) in [(600, ViolationKind::Read), (601, ViolationKind::Write)] {
        let address = base + number * (2 << 20) + 24;
        let is_done = match kind {
            // SAFETY: nothing is there.
            ViolationKind::Read => (unsafe { probe_read_u64(address) }) == Some(0),
            // SAFETY: nothing is there.
            _ => unsafe { probe_write_u64(address, 1) },
        };
        holds("the access was recovered", is_done)?;
        let found = violations(arena()).map(|violation| (violation.address.value(), violation.kind, violation.cpu));
        equal("the record", found.collect(), alloc::vec![(address, kind, Some(cpu_id()))])?;
    }
    super::nothing()
}
