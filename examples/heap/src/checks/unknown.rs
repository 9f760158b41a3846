//! CPUs that the kernel cannot name: they have no magazines, and work on the slabs themselves.

use alloc::format;
use core::sync::atomic::AtomicBool;

use super::churn::{Tidy, churn};
use super::guests::churn_with_guests;
use super::{Told, checks};
use crate::bench::Site;
use crate::block::{Block, any_kind};
use crate::check::{Failure, equal, holds};
use crate::guest::{self, Part, Visits};
use crate::memory::stats;
use crate::platform::nameless;

checks! {
    a_nameless_cpu_works_on_the_slabs_and_caches_nothing,
    nameless_cpus_and_named_ones_churn_together,
    a_nameless_cpu_is_interrupted_and_its_guests_are_nameless_too,
}

const STEPS: (u32, u32) = (2500, 15_000);

fn cached() -> u64 {
    stats().slab.classes.iter().map(|class| class.cached).sum()
}

fn a_nameless_cpu_works_on_the_slabs_and_caches_nothing(site: &Site) -> Told {
    // Room for what a failed check would say, and none for the blocks: nothing else allocates meanwhile.
    let outcome = nameless(|| {
        let mut random = support::Random::new(11);
        let mut blocks = [None; 48];
        for number in 0..site.of(STEPS) as usize {
            let place = &mut blocks[number * 7 % 48];
            if let Some(block) = place.take() {
                Block::give(block)?;
            } else {
                *place = Some(Block::get(any_kind(&mut random))?);
            }
        }
        let cached = cached();
        blocks.into_iter().flatten().try_for_each(Block::give)?;
        Ok::<_, crate::check::Wrong>(cached)
    });
    equal("objects in magazines", outcome.map_err(Failure::from)?, 0)?;
    super::nothing()
}

fn nameless_cpus_and_named_ones_churn_together(site: &Site) -> Told {
    let steps = site.of(STEPS);
    site.on_all(|player| {
        let is_nameless = player.number % 2 == 0;
        let mut part = || churn(player, steps, Tidy::Often);
        if is_nameless { nameless(part) } else { part() }
    })?;
    guest::clear()?;
    Ok(format!("{steps} steps on each CPU"))
}

fn a_nameless_cpu_is_interrupted_and_its_guests_are_nameless_too(site: &Site) -> Told {
    let (before, over) = (Visits::so_far(), AtomicBool::new(false));
    guest::with(Part::Rampage, || {
        site.on_all(|player| match player.number {
            0 => nameless(|| churn_with_guests(player, before, &over)),
            _ => churn_with_guests(player, before, &over),
        })
    })?;
    guest::clear()?;
    let came = Visits::so_far().since(before);
    holds("guests came", came.by_level[1] > 0)?;
    Ok(format!("guests by level {:?}", &came.by_level[1..]))
}
