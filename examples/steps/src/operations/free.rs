//! `free_pages` and `free_pages_deferred`, of allocated and of reserved pages, with and without scratch, and refused.

use kernel_arena::{FreeError, PageIndex, SlotState};

use super::{Answer, Growth, Operation, Where, nothing, strange};
use crate::check::{Checked, equal, holds};
use crate::site::{STAGE, Site, page};

const fn shape(name: &'static str, prepare: fn(&Site<'_>) -> Checked, run: fn(&Site<'_>) -> Answer) -> Operation {
    let victim = (STAGE as u64 + 1) << 12;
    Operation { name, prepare, run, check: gone, victim, violations: 0, growth: Growth::None }
}

pub(super) const SHAPES: &[Operation] = &[
    shape("free_pages", allocate, now),
    shape("free_pages_of_reserved_ones", reserve, now),
    shape("free_pages_of_reserved_ones_with_scratch", reserve_and_touch, now),
    Operation { check: refused, violations: 1, ..shape("free_pages_of_nobody", nothing, now) },
    Operation { check: queued, victim: after_stage(), ..shape("free_pages_deferred", allocate, later) },
    shape("free_pages_deferred_of_reserved_ones", reserve, later),
    shape("free_pages_deferred_of_reserved_ones_with_scratch", reserve_and_touch, later),
];

/// A deferred free takes no translation away, so a page of its own never faults: the neighbour does.
const fn after_stage() -> u64 {
    (STAGE as u64 + 2) << 12
}

fn now(site: &Site<'_>) -> Answer {
    Answer::Freed(site.free(STAGE, 2))
}

fn later(site: &Site<'_>) -> Answer {
    Answer::Freed(site.defer(STAGE, 2))
}

fn allocate(site: &Site<'_>) -> Checked {
    site.alloc_at(STAGE, 2)
}

fn reserve(site: &Site<'_>) -> Checked {
    Ok(site.reserve(STAGE, 2)?)
}

fn reserve_and_touch(site: &Site<'_>) -> Checked {
    reserve(site)?;
    equal("wild store", site.write(page(STAGE), 0xbad), true)
}

fn states(site: &Site<'_>) -> [SlotState; 2] {
    [site.state(STAGE), site.state(STAGE + 1)]
}

fn gone(site: &Site<'_>, answer: Answer, _: Where) -> Checked {
    equal("answer", answer, Answer::Freed(Ok(())))?;
    let none = |state: SlotState| state.is_vacant() || state == SlotState::Scratch;
    holds("nothing is left", states(site).into_iter().all(none))
}

fn queued(site: &Site<'_>, answer: Answer, place: Where) -> Checked {
    equal("answer", answer, Answer::Freed(Ok(())))?;
    let waits = |state: SlotState| match state {
        SlotState::Deferred(..) => true,
        state => place == Where::Everywhere && state.is_vacant(),
    };
    holds("the pages are queued", states(site).into_iter().all(waits))
}

fn refused(site: &Site<'_>, answer: Answer, _: Where) -> Checked {
    let Answer::Freed(Err(FreeError::NotAllocated { page })) = answer else { return Err(strange(&answer)) };
    equal("page", Some(page), PageIndex::new(STAGE))?;
    holds("nothing is left", states(site).into_iter().all(|state| !matches!(state, SlotState::Mapped(..))))
}
