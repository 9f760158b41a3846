//! One run: an operation on an empty arena, interrupted, checked, and all of it taken back.

use kernel_arena::{SlotState, Stats};

use crate::bench::Bench;
use crate::check::{Checked, Failure, equal};
use crate::interrupt::{Intruder, Schedule, Tally, interrupt};
use crate::operations::{Operation, Where};
use crate::site::{FIRST, FRESH, OURS, Site, count, pointer};

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) tally: Tally,
    /// Violations that were recorded, those of the operation itself left out.
    pub(crate) violations: u64,
    /// And those that were lost.
    pub(crate) violations_lost: u64,
    /// Faults that found their slot present.
    pub(crate) spurious: u64,
    /// Faults that lost their slot to another.
    pub(crate) lost_installs: u64,
}

/// Runs an operation once, lets the intruder in, and checks: the intruder's complaints, the answer, slots against maps, frames
/// against pages; and, when all is freed and reclaimed, that nothing is left.
pub(crate) fn run_once(
    bench: &Bench,
    site: &Site<'_>,
    operation: &Operation,
    schedule: Schedule,
    intruder: Intruder<'_>,
    place: Where,
) -> Result<Ran, Failure> {
    let frames = bench.frames().free_count();
    (operation.prepare)(site)?;
    site.drain();
    let before = site.arena.stats();
    let (answer, tally) = interrupt(schedule, intruder, || (operation.run)(site));
    let ran = difference(tally, operation, before, site.arena.stats());
    tally.check()?;
    (operation.check)(site, answer, place)?;
    site.arena.validate()?;
    add_up(bench, site, frames)?;
    clean(site)?;
    equal("frames after all was reclaimed", bench.frames().free_count(), frames)?;
    Ok(ran)
}

fn difference(tally: Tally, operation: &Operation, before: Stats, after: Stats) -> Ran {
    Ran {
        tally,
        violations: (after.violations - before.violations).saturating_sub(operation.violations),
        violations_lost: after.violations_lost - before.violations_lost,
        spurious: after.spurious_faults - before.spurious_faults,
        lost_installs: after.lost_installs - before.lost_installs,
    }
}

/// Each page that has a frame has taken one from the source, and nothing else has.
fn add_up(bench: &Bench, site: &Site<'_>, frames: usize) -> Checked {
    let extent = site.arena.layout().extent();
    let (mut with_frame, mut claimed) = (0, 0);
    for page in extent.pages() {
        match site.arena.page_state(page) {
            Some(SlotState::Mapped(..) | SlotState::Deferred(..)) => {
                (with_frame, claimed) = (with_frame + 1, claimed + 1)
            }
            Some(SlotState::Reserved(_) | SlotState::ScratchOverReserved(_)) => claimed += 1,
            _ => {}
        }
    }
    equal("frames that pages have", frames - bench.frames().free_count(), with_frame)?;
    equal("pages that are claimed", site.arena.stats().claimed_pages, claimed)
}

/// Frees what the operation has left, and reclaims.
pub(crate) fn clean(site: &Site<'_>) -> Checked {
    for number in FIRST..FRESH {
        match site.state(number) {
            SlotState::Mapped(..) | SlotState::Reserved(_) | SlotState::ScratchOverReserved(_) => {
                site.arena.free_pages_deferred(pointer(number), count(1), OURS)?;
            }
            _ => {}
        }
    }
    site.arena.reclaim();
    let stats = site.arena.stats();
    let left = (stats.claimed_pages, stats.deferred_pages, stats.tainted_pages, stats.tainted_regions);
    equal("pages claimed, queued and marked, and regions marked, after all was reclaimed", left, (0, 0, 0, 0))
}
