//! Interrupts, and faults in their handlers, come in the midst of allocations, and use the heap themselves.

use alloc::format;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use support::{interrupt_others, milliseconds, ticks};

use super::churn::{Tidy, churn};
use super::{Told, checks};
use crate::bench::{Player, Site};
use crate::check::{Checked, Failure, equal, holds, is_complaint};
use crate::guest::{self, DEEPEST, Part, Visits};
use crate::memory::stats;

checks! {
    interrupts_allocate_and_free_in_the_midst_of_both,
    interrupts_of_other_cpus_do_so_too,
    levels_beyond_those_with_magazines_leave_nothing_cached,
}

/// Guests that must have come to each level.
const VISITS: (u64, u64) = (20, 300);
/// How long one waits for them, in milliseconds: a busy host is no failure, but no guest at all is.
const PATIENCE_MS: (u64, u64) = (8000, 30_000);
/// Steps between two looks at the figures.
const STEPS: u32 = 400;

fn figures(site: &Site, figures: (u64, u64)) -> u64 {
    if site.of((0, 1)) == 0 { figures.0 } else { figures.1 }
}

/// Churns, until so many guests have come to each level.
pub(super) fn churn_with_guests(player: &mut Player<'_>, before: Visits, over: &AtomicBool) -> Checked {
    churn_until(player, before, over, &|| true)
}

/// The same, and until this is so.
fn churn_until(player: &mut Player<'_>, before: Visits, over: &AtomicBool, is_so: &dyn Fn() -> bool) -> Checked {
    let (wanted, patience) = (figures(player.site, VISITS), figures(player.site, PATIENCE_MS));
    let start = ticks();
    guest::open(|| {
        while !over.load(Ordering::Relaxed) && !player.site.is_trouble() && !is_complaint() {
            churn(player, STEPS, Tidy::Often)?;
            let came = Visits::so_far().since(before);
            let enough = came.by_level[1..].iter().all(|visits| *visits >= wanted) && came.inside >= wanted;
            if enough && is_so() || milliseconds(ticks().wrapping_sub(start)) > patience {
                over.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    })
}

fn told(before: Visits) -> Told {
    let came = came_to_every_level(before)?;
    holds("some came in the midst of an operation", came.inside > 0)?;
    Ok(format!("guests by level {:?}, {} in the midst of an operation", &came.by_level[1..], came.inside))
}

fn came_to_every_level(before: Visits) -> Result<Visits, Failure> {
    let came = Visits::so_far().since(before);
    holds("guests came to every level", came.by_level[1..].iter().all(|visits| *visits > 0))?;
    Ok(came)
}

fn interrupts_allocate_and_free_in_the_midst_of_both(site: &Site) -> Told {
    let (before, over) = (Visits::so_far(), AtomicBool::new(false));
    guest::with(Part::Visit, || site.on_all(|player| churn_with_guests(player, before, &over)))?;
    guest::clear()?;
    told(before)
}

/// One CPU interrupts the others all the time, with its own guests as well.
fn interrupts_of_other_cpus_do_so_too(site: &Site) -> Told {
    let (before, over) = (Visits::so_far(), AtomicBool::new(false));
    let (sent, start) = (AtomicU32::new(0), ticks());
    guest::with(Part::Visit, || {
        site.on_all(|player| {
            if player.number > 0 || site.cpus == 1 {
                let is_sent = || site.cpus == 1 || u64::from(sent.load(Ordering::Relaxed)) >= VISITS.0;
                return churn_until(player, before, &over, &is_sent);
            }
            guest::open(|| {
                while !over.load(Ordering::Relaxed) && !site.is_trouble() && !is_complaint() {
                    interrupt_others();
                    sent.fetch_add(1, Ordering::Relaxed);
                    churn(player, 16, Tidy::Seldom)?;
                }
                Ok(())
            })
        })
    })?;
    guest::clear()?;
    let (told, sent) = (told(before)?, sent.into_inner());
    Ok(format!("{sent} sent in {} ms, {told}", milliseconds(ticks().wrapping_sub(start))))
}

/// What guests at high levels take and give goes straight out of the slabs and back.
fn levels_beyond_those_with_magazines_leave_nothing_cached(site: &Site) -> Told {
    let cached = || stats().slab.classes.iter().map(|class| class.cached).sum::<u64>();
    let before = Visits::so_far();
    guest::with(Part::Visit, || {
        site.on_all(|player| {
            guest::open(|| {
                let start = ticks();
                let is_late = || milliseconds(ticks().wrapping_sub(start)) > PATIENCE_MS.0;
                while Visits::so_far().since(before).by_level[DEEPEST as usize] < 4 && !is_late() && !site.is_trouble()
                {
                    guest::swap(&mut player.random)?;
                }
                Ok(())
            })
        })
    })?;
    guest::clear()?;
    holds("the magazines have something", cached() > 0)?;
    site.drain_all()?;
    // Levels 0 to 3 were drained; had a higher one a magazine, what it held would be left.
    equal("objects in magazines when those of the levels 0 to 3 are emptied", cached(), 0)?;
    Ok(format!("guests by level {:?}", &came_to_every_level(before)?.by_level[1..]))
}
