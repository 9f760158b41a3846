//! `handle_kernel_fault`, called directly, for every kind of place that can be missing, and for one that is not.

use kernel_arena::{FaultOutcome, SlotState};
use support::exceptions_taken;

use super::{Answer, Growth, Operation, Where, nothing, strange};
use crate::check::{Checked, equal, holds};
use crate::site::{END, OURS, PAGE, REGION, STAGE, Site};

const fn shape(
    name: &'static str,
    prepare: fn(&Site<'_>) -> Checked,
    run: fn(&Site<'_>) -> Answer,
    victim: u64,
) -> Operation {
    Operation { name, prepare, run, check: on_stage, victim, violations: 1, growth: Growth::None }
}

const ON_STAGE: u64 = (STAGE as u64) << 12;
const BESIDE: u64 = (STAGE as u64 + 1) << 12;
/// A page of the guard and a region that intruders otherwise keep away from.
const IN_GUARD: u64 = END + 7 * PAGE;
const IN_REGION: u64 = 512 * REGION + 3 * PAGE;

pub(super) const SHAPES: &[Operation] = &[
    shape("handle_kernel_fault_on_a_vacant_page", nothing, |site| handle(site, ON_STAGE), ON_STAGE),
    shape("handle_kernel_fault_on_a_freed_page", freed, |site| handle(site, ON_STAGE), ON_STAGE),
    Operation {
        check: on_stage_reserved,
        ..shape("handle_kernel_fault_on_a_reserved_page", reserve, |site| handle(site, ON_STAGE), ON_STAGE)
    },
    Operation {
        check: in_region,
        ..shape("handle_kernel_fault_in_a_region", nothing, |site| handle(site, IN_REGION), IN_REGION)
    },
    Operation {
        check: in_guard,
        ..shape("handle_kernel_fault_in_the_guard", nothing, |site| handle(site, IN_GUARD), IN_GUARD)
    },
    Operation {
        check: spurious,
        violations: 0,
        ..shape("handle_kernel_fault_on_a_mapped_page", allocate, |site| handle(site, ON_STAGE), BESIDE)
    },
];

fn handle(site: &Site<'_>, offset: u64) -> Answer {
    Answer::Handled(site.arena.handle_kernel_fault(&site.fault(offset)))
}

fn freed(site: &Site<'_>) -> Checked {
    site.alloc_at(STAGE, 1)?;
    Ok(site.free(STAGE, 1)?)
}

fn reserve(site: &Site<'_>) -> Checked {
    Ok(site.reserve(STAGE, 1)?)
}

fn allocate(site: &Site<'_>) -> Checked {
    site.alloc_at(STAGE, 1)
}

fn on_stage(site: &Site<'_>, answer: Answer, place: Where) -> Checked {
    recovered(site, answer, place, ON_STAGE)
}

fn on_stage_reserved(site: &Site<'_>, answer: Answer, place: Where) -> Checked {
    recovered(site, answer, place, ON_STAGE)?;
    equal("state", site.state(STAGE), SlotState::ScratchOverReserved(OURS))
}

fn in_guard(site: &Site<'_>, answer: Answer, place: Where) -> Checked {
    recovered(site, answer, place, IN_GUARD)
}

fn in_region(site: &Site<'_>, answer: Answer, place: Where) -> Checked {
    recovered(site, answer, place, IN_REGION)
}

/// Recovered, unless somebody else had just the same fault and was faster. Then the instruction can run again, without a fault
/// unless somebody has healed the page already.
fn recovered(site: &Site<'_>, answer: Answer, place: Where, offset: u64) -> Checked {
    match (answer, place) {
        (Answer::Handled(FaultOutcome::Recovered), _) | (Answer::Handled(FaultOutcome::Spurious), Where::Victim) => {}
        (answer, _) => return Err(strange(&answer)),
    }
    let before = exceptions_taken();
    holds("the instruction can run again", site.read(offset).is_some())?;
    holds("without another fault", exceptions_taken() == before || place == Where::Everywhere)
}

fn spurious(_: &Site<'_>, answer: Answer, _: Where) -> Checked {
    equal("answer", answer, Answer::Handled(FaultOutcome::Spurious))
}
