//! `alloc_pages`: one page and two, anywhere and at an exact place, over scratch and not, in both contexts.

use kernel_arena::{AllocError, Context, SlotState};

use super::{Answer, Growth, Operation, Where, nothing, strange};
use crate::check::{Checked, equal};
use crate::site::{FIRST, STAGE, Site, page, pages, pointer};

const fn shape(name: &'static str, prepare: fn(&Site<'_>) -> Checked, run: fn(&Site<'_>) -> Answer) -> Operation {
    Operation { name, prepare, run, check: at_stage, victim: page_of_stage(), violations: 0, growth: Growth::None }
}

/// The second page of the stage: it is installed after the first.
const fn page_of_stage() -> u64 {
    (STAGE as u64 + 1) << 12
}

const fn first_page() -> u64 {
    (FIRST as u64) << 12
}

pub(super) const SHAPES: &[Operation] = &[
    Operation {
        check: anywhere_one,
        victim: first_page(),
        ..shape("alloc_pages_one_anywhere", nothing, |site| anywhere(site, 1, Context::MayWait))
    },
    Operation {
        check: anywhere_one,
        victim: first_page(),
        ..shape("alloc_pages_one_anywhere_in_any_context", nothing, |site| anywhere(site, 1, Context::Any))
    },
    Operation {
        check: anywhere_two,
        victim: first_page() + (1 << 12),
        ..shape("alloc_pages_two_anywhere_past_scratch_in_any_context", scratch_first, |site| {
            anywhere(site, 2, Context::Any)
        })
    },
    shape("alloc_pages_two_exactly", nothing, |site| exactly(site, Context::MayWait)),
    shape("alloc_pages_two_exactly_over_scratch", scratch_stage, |site| exactly(site, Context::MayWait)),
    shape("alloc_pages_two_exactly_where_pages_were_freed", free_stage, |site| exactly(site, Context::MayWait)),
    Operation {
        check: at_stage_if_clean,
        ..shape("alloc_pages_two_exactly_in_any_context", nothing, |site| exactly(site, Context::Any))
    },
];

fn anywhere(site: &Site<'_>, number: u32, context: Context) -> Answer {
    Answer::Allocated(site.arena.alloc_pages(pages(number, context)))
}

fn exactly(site: &Site<'_>, context: Context) -> Answer {
    Answer::Allocated(site.arena.alloc_pages(pages(2, context).exactly_at(pointer(STAGE))))
}

fn scratch_first(site: &Site<'_>) -> Checked {
    equal("wild store", site.write(page(FIRST), 0xbad), true)
}

fn scratch_stage(site: &Site<'_>) -> Checked {
    equal("wild stores", (site.write(page(STAGE), 0xbad), site.write(page(STAGE + 1), 0xbad)), (true, true))
}

fn free_stage(site: &Site<'_>) -> Checked {
    site.alloc_at(STAGE, 2)?;
    Ok(site.free(STAGE, 2)?)
}

fn anywhere_one(site: &Site<'_>, answer: Answer, _: Where) -> Checked {
    got_anywhere(site, answer, 1)
}

fn anywhere_two(site: &Site<'_>, answer: Answer, _: Where) -> Checked {
    got_anywhere(site, answer, 2)
}

/// There is room, so it must succeed, whatever came between.
fn got_anywhere(site: &Site<'_>, answer: Answer, number: u32) -> Checked {
    let Answer::Allocated(Ok(got)) = answer else { return Err(strange(&answer)) };
    equal("pages", got.count().get(), number)?;
    site.are_new(got.first().number(), number)
}

fn at_stage(site: &Site<'_>, answer: Answer, _: Where) -> Checked {
    let Answer::Allocated(Ok(got)) = answer else { return Err(strange(&answer)) };
    equal("pages", (got.first().number(), got.count().get()), (STAGE, 2))?;
    site.are_new(STAGE, 2)
}

/// Scratch on a page that was named, in a context that may not wait, is the one reason to refuse.
fn at_stage_if_clean(site: &Site<'_>, answer: Answer, place: Where) -> Checked {
    match answer {
        Answer::Allocated(Err(AllocError::Tainted { page })) if place == Where::Victim => {
            equal("state", site.state(page.number()), SlotState::Scratch)
        }
        _ => at_stage(site, answer, place),
    }
}
