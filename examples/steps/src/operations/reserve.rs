//! `reserve_pages`, of vacant pages and over scratch, and refused half-way.

use kernel_arena::{ReserveError, SlotState};

use super::{Answer, Growth, Operation, Where, nothing, strange};
use crate::check::{Checked, equal, holds};
use crate::site::{OURS, STAGE, Site, page};

const fn shape(name: &'static str, prepare: fn(&Site<'_>) -> Checked) -> Operation {
    let victim = (STAGE as u64 + 1) << 12;
    Operation { name, prepare, run, check, victim, violations: 0, growth: Growth::None }
}

pub(super) const SHAPES: &[Operation] = &[
    shape("reserve_pages", nothing),
    shape("reserve_pages_over_scratch", touch),
    Operation { check: refused, ..shape("reserve_pages_of_which_one_is_taken", take_second) },
];

fn run(site: &Site<'_>) -> Answer {
    Answer::Reserved(site.reserve(STAGE, 2))
}

fn touch(site: &Site<'_>) -> Checked {
    equal("wild store", site.write(page(STAGE), 0xbad), true)
}

fn take_second(site: &Site<'_>) -> Checked {
    Ok(site.reserve(STAGE + 1, 1)?)
}

fn check(site: &Site<'_>, answer: Answer, _: Where) -> Checked {
    equal("answer", answer, Answer::Reserved(Ok(())))?;
    let ours = |state| matches!(state, SlotState::Reserved(OURS) | SlotState::ScratchOverReserved(OURS));
    holds("both pages are reserved", ours(site.state(STAGE)) && ours(site.state(STAGE + 1)))
}

fn refused(site: &Site<'_>, answer: Answer, _: Where) -> Checked {
    let Answer::Reserved(Err(ReserveError::Taken { page })) = answer else { return Err(strange(&answer)) };
    equal("taken", page.number(), STAGE + 1)?;
    holds("the first page is not", site.state(STAGE).is_vacant())
}
