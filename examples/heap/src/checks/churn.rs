//! All CPUs take, look, resize and give back, all the time.

use alloc::format;
use alloc::vec::Vec;

use super::{Told, checks};
use crate::bench::{Player, Site};
use crate::block::{Block, any_kind};
use crate::check::{Checked, Wrong};
use crate::guest;
use crate::memory::HEAP;

checks! {
    all_cpus_churn_and_every_block_keeps_its_contents,
    all_cpus_churn_while_pages_are_given_back_all_the_time,
}

/// What each CPU does: so many things.
const STEPS: (u32, u32) = (20_000, 120_000);
/// The most blocks that a CPU keeps.
const MOST: u32 = 96;

/// How often a CPU empties its magazines and reclaims.
#[derive(Clone, Copy)]
pub(super) enum Tidy {
    /// Hardly ever: just so that pages that were freed are had again.
    Seldom,
    /// And gives pages back, all the time.
    Often,
}

fn all_cpus_churn_and_every_block_keeps_its_contents(site: &Site) -> Told {
    site.on_all(|player| churn(player, site.of(STEPS), Tidy::Seldom))?;
    guest::clear()?;
    Ok(format!("{} steps on each CPU", site.of(STEPS)))
}

fn all_cpus_churn_while_pages_are_given_back_all_the_time(site: &Site) -> Told {
    site.on_all(|player| churn(player, site.of(STEPS) / 2, Tidy::Often))?;
    guest::clear()?;
    Ok(format!("{} steps on each CPU", site.of(STEPS) / 2))
}

/// So many things with blocks; in the end all are given back.
pub(super) fn churn(player: &mut Player<'_>, steps: u32, tidy: Tidy) -> Checked {
    let mut held = Vec::with_capacity(MOST as usize);
    for _ in 0..steps {
        if player.site.is_trouble() || crate::check::is_complaint() {
            break;
        }
        step(player, &mut held, tidy)?;
    }
    held.into_iter().try_for_each(|block: Block| block.give())?;
    Ok(())
}

/// One thing.
pub(super) fn step(player: &mut Player<'_>, held: &mut Vec<Block>, tidy: Tidy) -> Result<(), Wrong> {
    let random = &mut player.random;
    let count = u32::try_from(held.len()).unwrap_or(MOST);
    match random.below(16) {
        0..=5 if count < MOST => held.push(Block::get(any_kind(random))?),
        6 if count < MOST => held.push(Block::take_zeroed(any_kind(random))?.ok_or(Wrong::NoMemory)?),
        7 if count > 0 => {
            let place = random.below(count) as usize;
            held[place] = held[place].resize(any_kind(random))?;
        }
        8 if count > 0 => held[random.below(count) as usize].check()?,
        9 => guest::swap(random)?,
        10 if random.one_in(16) => match tidy {
            Tidy::Seldom if random.one_in(8) => _ = HEAP.reclaim(),
            Tidy::Seldom => {}
            Tidy::Often if random.one_in(4) => _ = HEAP.reclaim(),
            Tidy::Often => _ = HEAP.drain(),
        },
        // Now and then nearly all at once, so that slabs come and go.
        11 if random.one_in(64) => held.drain(..).try_for_each(Block::give)?,
        _ if count > 0 => held.swap_remove(random.below(count) as usize).give()?,
        _ => {}
    }
    Ok(())
}
