//! Frees that wait.

use kernel_arena::{Owner, SlotState};

use crate::check::{Checked, equal, holds};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, page};

claims! {
    free_gives_the_frames_back_and_the_addresses_fault,
    a_freed_page_shows_nothing_of_what_it_held,
    a_freed_place_can_be_allocated_again_and_is_zero,
    a_stale_pointer_does_not_reach_the_frames_next_page,
    a_free_of_many_pages_is_exact,
    a_free_can_span_allocated_and_reserved_pages,
    a_free_waits_for_one_shootdown_each_64_pages,
}

fn free_gives_the_frames_back_and_the_addresses_fault(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    site.alloc_at(100, 10)?;
    for number in 100..110 {
        site.reads(page(number), 0, Faults::NONE)?;
    }
    site.free(102, 5)?;
    equal("frames", before - site.bench.frames().free_count(), 5)?;
    for number in 100..110 {
        let freed = (102..107).contains(&number);
        site.reads(page(number), 0, if freed { Faults::RECOVERED } else { Faults::NONE })?;
    }
    site.violations(5)
}

fn a_freed_page_shows_nothing_of_what_it_held(site: &Site<'_>) -> Checked {
    let pages = site.alloc(3)?;
    site.fill(pages, 0x5ec2_e700_5ec2_e700)?;
    site.free(pages.first().number(), 3)?;
    for number in pages.pages() {
        site.reads(page(number.number()), 0, Faults::RECOVERED)?;
    }
    site.all_words_are(pages, 0)
}

fn a_freed_place_can_be_allocated_again_and_is_zero(site: &Site<'_>) -> Checked {
    for round in 1..20 {
        site.alloc_at(700, 2)?;
        site.reads(page(701), 0, Faults::NONE)?;
        site.writes(page(701), round, Faults::NONE)?;
        site.free(700, 2)?;
    }
    site.violations(0)
}

/// I2, I5: had the old translation survived, the wild store would land in the new page.
fn a_stale_pointer_does_not_reach_the_frames_next_page(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 1)?;
    site.writes(page(100), 1, Faults::NONE)?;
    let old = site.state(100);
    site.free(100, 1)?;
    site.alloc_at(200, 1)?;
    let same_frame = match (old, site.state(200)) {
        (Some(SlotState::Mapped(old, _)), Some(SlotState::Mapped(new, _))) => old == new,
        _ => false,
    };
    holds("the frame was used again", same_frame)?;
    site.writes(page(200), 2, Faults::NONE)?;
    site.writes(page(100), 0xbad, Faults::RECOVERED)?;
    site.reads(page(200), 2, Faults::NONE)
}

fn a_free_of_many_pages_is_exact(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    site.alloc_at(60, 400)?;
    site.fill(
        kernel_arena::PageRange::new(crate::site::index(60), crate::site::count(400)).expect("in the window"),
        9,
    )?;
    site.free(70, 300)?;
    equal("pages in use", site.arena.stats().claimed_pages, 100)?;
    equal("frames", before - site.bench.frames().free_count(), 100)?;
    for (number, faults) in [(69, Faults::NONE), (70, Faults::RECOVERED), (369, Faults::RECOVERED), (370, Faults::NONE)]
    {
        let value = if faults == Faults::NONE { 9 } else { 0 };
        site.reads(page(number), value, faults)?;
    }
    Ok(())
}

/// T32.
fn a_free_can_span_allocated_and_reserved_pages(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 2)?;
    site.reserve(102, 2)?;
    site.alloc_at(104, 1)?;
    site.free(100, 5)?;
    equal("pages in use", site.arena.stats().claimed_pages, 0)?;
    site.alloc_at(100, 5)
}

fn a_free_waits_for_one_shootdown_each_64_pages(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 200)?;
    let before = site.arena.stats().shootdowns;
    site.arena.free_pages(crate::site::pointer(100), crate::site::count(200), Owner::Kernel)?;
    equal("shootdowns", site.arena.stats().shootdowns - before, 4)
}
