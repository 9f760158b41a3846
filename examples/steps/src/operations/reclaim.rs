//! `reclaim`, with something of every kind to do.

use kernel_arena::SlotState;

use super::{Answer, Growth, Operation, Where, strange};
use crate::check::{Checked, equal, holds};
use crate::site::{END, PAGE, REGION, STAGE, Site, page};

pub(super) const SHAPES: &[Operation] = &[Operation {
    name: "reclaim",
    prepare,
    run: |site| Answer::Reclaimed(site.arena.reclaim()),
    check,
    victim: (STAGE as u64 + 2) << 12,
    violations: 0,
    growth: Growth::EachVisit,
}];

/// A page of the guard and a region that intruders keep away from.
const IN_GUARD: u64 = END + 7 * PAGE;
const IN_REGION: u64 = 512 * REGION;

/// Two pages are queued, behind them two hold scratch, and one more of the guard, and one region.
fn prepare(site: &Site<'_>) -> Checked {
    site.alloc_at(STAGE, 2)?;
    site.defer(STAGE, 2)?;
    for offset in [page(STAGE + 2), page(STAGE + 3), IN_GUARD, IN_REGION] {
        equal("wild store", site.write(offset, 0xbad), true)?;
    }
    Ok(())
}

fn check(site: &Site<'_>, answer: Answer, place: Where) -> Checked {
    let Answer::Reclaimed(done) = answer else { return Err(strange(&answer)) };
    // Whoever came between may have done it.
    if place == Where::Elsewhere {
        equal("pages freed", done.freed_pages, 2)?;
        holds("pages healed", done.healed_pages >= 3 && done.healed_regions >= 1)?;
    }
    let none = |state: SlotState| state.is_vacant() || place == Where::Victim && state == SlotState::Scratch;
    holds("nothing is left", (STAGE..STAGE + 4).all(|number| none(site.state(number))))
}
