//! All CPUs fault one page: one of them installs the scratch page, and there is one violation.

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::{PAGE_SIZE, ViolationKind, WINDOW_SIZE};

use super::{Told, races};
use crate::check::{Checked, equal, holds};
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{REGION, Site, page};

races! {
    all_cpus_fault_one_page_and_one_violation_is_recorded in 512 pages,
}

/// Places that all CPUs go for in a round, one after the other: how many, the first, and how far apart. No more than the record
/// of violations holds.
#[derive(Clone, Copy)]
struct Places {
    count: u64,
    first: u64,
    stride: u64,
}

impl Places {
    /// Pages of the extent, mostly; in some rounds pages of the upper guard, or regions beyond the extent.
    fn of(site: &Site, round: u32) -> Self {
        match round % 8 {
            3 => Self { count: 8, first: WINDOW_SIZE, stride: PAGE_SIZE },
            7 => Self { count: 64, first: 700 * REGION, stride: REGION },
            _ => Self { count: 64, first: page(site.first() + round % 400), stride: PAGE_SIZE },
        }
    }

    fn all(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |number| self.first + number * self.stride)
    }
}

/// What a CPU writes in a round.
fn value(round: u32, cpu: u32) -> u64 {
    u64::from(round) << 8 | u64::from(cpu + 1)
}

fn all_cpus_fault_one_page_and_one_violation_is_recorded(site: &Site) -> Told {
    let healed = AtomicU64::new(0);
    let fault = |player: &mut Player<'_>| {
        let (own, value) = (8 * u64::from(player.number), value(player.round, player.number));
        Places::of(site, player.round).all().try_for_each(|place| site.writes(place + own, value))
    };
    // There is one scratch page: at each place stands what each CPU wrote to any of them.
    let compare = |player: &mut Player<'_>| {
        let words = |place| (0..site.cpus).map(move |cpu| (place + 8 * u64::from(cpu), cpu));
        let mut words = Places::of(site, player.round).all().flat_map(words);
        words.try_for_each(|(word, cpu)| site.reads(word, value(player.round, cpu)))
    };
    let heal = |player: &mut Player<'_>| {
        let places = Places::of(site, player.round);
        one_record_each(site, places)?;
        let done = site.reclaim();
        healed.fetch_add(places.count, Ordering::Relaxed);
        equal("healed pages and regions", u64::from(done.healed_pages + done.healed_regions), places.count)
    };
    let rounds = site.play((16, 200), &|| site.has_lost_installs(), &[All(&fault), All(&compare), One(&heal)])?;
    equal("violations", site.arena.stats().violations, healed.load(Ordering::Relaxed))?;
    Ok(format!("{rounds} rounds, {} pages and regions healed", healed.into_inner()))
}

/// Takes all records: there is one for each place.
fn one_record_each(site: &Site, places: Places) -> Checked {
    let mut seen = 0u64;
    let base = site.address(0).value();
    while let Some(violation) = site.violation() {
        let offset = violation.address.value() - base;
        let number = (offset - places.first) / places.stride;
        let cpu = violation.cpu.map_or(site.cpus, |cpu| u32::from(cpu.number()));
        holds("the record is of a place of this round", offset >= places.first && number < places.count)?;
        equal("what was recorded", violation.kind, ViolationKind::Write)?;
        equal("the word of the CPU that is named", offset % PAGE_SIZE, 8 * u64::from(cpu))?;
        equal("an earlier record of the same place", seen >> number & 1, 0)?;
        seen |= 1 << number;
    }
    equal("records", u64::from(seen.count_ones()), places.count)
}
