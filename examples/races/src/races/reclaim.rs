//! All CPUs reclaim at once, while all defer and touch what is not there: everything is finished by exactly one of them.

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::{AllocError, AllocRequest, Owner, PAGE_SIZE, Reclaimed, WINDOW_SIZE};

use super::{Told, races};
use crate::check::{Checked, Failure, equal};
use crate::play::Phase::{All, One};
use crate::play::Player;
use crate::site::{REGION, Site, pages};
use crate::tally::Tally;

races! {
    concurrent_reclaims_finish_each_page_once in 512 pages,
}

/// What a CPU does in a round: so many things.
const TURNS: (u32, u32) = (48, 400);

/// What all CPUs together have put in and got out.
#[derive(Default)]
struct Sums {
    deferred: AtomicU64,
    freed: AtomicU64,
    healed: AtomicU64,
}

impl Sums {
    fn add(&self, done: Reclaimed) {
        self.freed.fetch_add(done.freed_pages.into(), Ordering::Relaxed);
        self.healed.fetch_add(u64::from(done.healed_pages + done.healed_regions), Ordering::Relaxed);
    }
}

fn concurrent_reclaims_finish_each_page_once(site: &Site) -> Told {
    let sums = Sums::default();
    let before = Tally::so_far();
    let turns = |player: &mut Player<'_>| (0..site.of(TURNS)).try_for_each(|_| turn(player, &sums));
    let at_once = |_: &mut Player<'_>| {
        sums.add(site.reclaim());
        Ok(())
    };
    let settle = |_: &mut Player<'_>| {
        sums.add(site.reclaim());
        site.drain();
        let sum = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        equal("pages freed by all reclaims", sum(&sums.freed), sum(&sums.deferred))?;
        let installed = Tally::so_far().since(before).recovered;
        equal("pages and regions healed by all reclaims", sum(&sums.healed), installed)
    };
    let rounds = site.play((10, 50), &|| true, &[All(&turns), All(&at_once), One(&settle)])?;
    let [deferred, healed] = [sums.deferred, sums.healed].map(AtomicU64::into_inner);
    Ok(format!("{rounds} rounds, {deferred} pages deferred, {healed} pages and regions healed"))
}

/// Something that gives reclaim work, or a reclaim.
fn turn(player: &mut Player<'_>, sums: &Sums) -> Checked {
    let site = player.site;
    match player.random.below(24) {
        0..=15 => {
            let count = 1 + player.random.below(4);
            match site.alloc(AllocRequest::new(pages(count), Owner::Kernel)) {
                Ok(got) => site.defer(got.first().number(), count, Owner::Kernel)?,
                Err(AllocError::NoSpace(_) | AllocError::Busy(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            sums.deferred.fetch_add(count.into(), Ordering::Relaxed);
        }
        16..=22 => {
            // Not in the extent: there an allocation might heal what this scratched, uncounted.
            let place = match player.random.below(10) {
                0..=7 => u64::from(2 + player.random.below(2046)) * REGION,
                _ => WINDOW_SIZE + u64::from(player.random.below(8)) * PAGE_SIZE,
            };
            site.read(place).ok_or_else(|| Failure::new("a read was given up"))?;
        }
        _ => sums.add(site.reclaim()),
    }
    Ok(())
}
