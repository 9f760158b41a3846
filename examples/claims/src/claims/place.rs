//! Where pages are allocated.

use kernel_arena::Context;

use crate::bench::FIRST_PAGE;
use crate::check::{Checked, equal, holds};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, count, index, page, pages, pointer};

claims! {
    an_exact_allocation_gets_just_that_place,
    an_alignment_is_kept,
    single_pages_come_in_sequence_and_gaps_are_filled_lowest_first,
    the_lowest_gap_that_fits_is_taken,
    a_run_of_2051_pages_is_one_allocation_and_can_be_freed_in_part,
    an_allocation_prefers_pages_without_scratch,
    an_allocation_that_may_not_wait_leaves_scratch_alone,
}

fn an_exact_allocation_gets_just_that_place(site: &Site<'_>) -> Checked {
    site.alloc_at(1000, 3)?;
    site.alloc_at(999, 1)?;
    site.alloc_at(1003, 509)?;
    equal("the next anywhere", site.alloc(1)?.first(), index(FIRST_PAGE))
}

fn an_alignment_is_kept(site: &Site<'_>) -> Checked {
    for shift in 0..10 {
        let align = 1 << shift;
        for number in [1, 3] {
            let got = site.arena.alloc_pages(pages(number).aligned(count(align)))?;
            equal("rest of the first page's number", got.first().number() % align, 0)?;
        }
    }
    Ok(())
}

/// T28.
fn single_pages_come_in_sequence_and_gaps_are_filled_lowest_first(site: &Site<'_>) -> Checked {
    for number in FIRST_PAGE..FIRST_PAGE + 100 {
        equal("in sequence", site.alloc(1)?.first(), index(number))?;
    }
    let even = || (FIRST_PAGE..FIRST_PAGE + 100).step_by(2);
    even().try_for_each(|number| site.free(number, 1))?;
    for number in even() {
        equal("into the gaps", site.alloc(1)?.first(), index(number))?;
    }
    let pairs = || (FIRST_PAGE..FIRST_PAGE + 100).step_by(4);
    pairs().try_for_each(|number| site.free(number, 2))?;
    for number in pairs() {
        equal("pairs into the gaps", site.alloc(2)?.first(), index(number))?;
    }
    equal("then above", site.alloc(1)?.first(), index(FIRST_PAGE + 100))
}

fn the_lowest_gap_that_fits_is_taken(site: &Site<'_>) -> Checked {
    site.alloc(200)?;
    site.free(FIRST_PAGE + 10, 2)?;
    site.free(FIRST_PAGE + 60, 9)?;
    site.free(FIRST_PAGE + 120, 5)?;
    equal("three pages", site.alloc(3)?.first(), index(FIRST_PAGE + 60))?;
    equal("five pages", site.alloc(5)?.first(), index(FIRST_PAGE + 63))?;
    equal("five more", site.alloc(5)?.first(), index(FIRST_PAGE + 120))?;
    equal("two pages", site.alloc(2)?.first(), index(FIRST_PAGE + 10))?;
    equal("one page", site.alloc(1)?.first(), index(FIRST_PAGE + 68))?;
    equal("another", site.alloc(1)?.first(), index(FIRST_PAGE + 200))
}

/// T29.
fn a_run_of_2051_pages_is_one_allocation_and_can_be_freed_in_part(site: &Site<'_>) -> Checked {
    let all = site.alloc(2051)?;
    for number in all.pages() {
        site.writes(page(number.number()), u64::from(number.number()), Faults::NONE)?;
    }
    let first = all.first().number();
    site.free(first + 3, 1025)?;
    for number in all.pages().map(|page| page.number()) {
        let freed = (first + 3..first + 1028).contains(&number);
        if !freed {
            site.reads(page(number), u64::from(number), Faults::NONE)?;
        }
    }
    site.reads(page(first + 3), 0, Faults::RECOVERED)?;
    site.reads(page(first + 1027), 0, Faults::RECOVERED)?;
    equal("pages in use", site.arena.stats().claimed_pages, 2051 - 1025)
}

fn an_allocation_prefers_pages_without_scratch(site: &Site<'_>) -> Checked {
    site.reads(page(FIRST_PAGE), 0, Faults::RECOVERED)?;
    site.reads(page(FIRST_PAGE + 2), 0, Faults::RECOVERED)?;
    let shootdowns = site.arena.stats().shootdowns;
    equal("one page", site.alloc(1)?.first(), index(FIRST_PAGE + 1))?;
    equal("two pages", site.alloc(2)?.first(), index(FIRST_PAGE + 3))?;
    equal("shootdowns for that", site.arena.stats().shootdowns - shootdowns, 0)
}

fn an_allocation_that_may_not_wait_leaves_scratch_alone(site: &Site<'_>) -> Checked {
    site.writes(page(FIRST_PAGE), 0xbad, Faults::RECOVERED)?;
    let got = site.arena.alloc_pages(pages(1).in_context(Context::Any))?;
    equal("the page", got.first(), index(FIRST_PAGE + 1))?;
    let exact = pages(2).exactly_at(pointer(FIRST_PAGE + 2)).in_context(Context::Any);
    holds("an exact place without scratch", site.arena.alloc_pages(exact).is_ok())?;
    site.reads(page(FIRST_PAGE), 0xbad, Faults::NONE)
}
