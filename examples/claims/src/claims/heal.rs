//! Healing, and real pages in the place of scratch.

use kernel_arena::{Owner, SlotState};

use crate::bench::{FIRST_PAGE, PAGES};
use crate::check::{Checked, equal, holds};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{END, Site, page};

claims! {
    a_scratched_page_faults_again_only_after_reclaim,
    reclaim_heals_everywhere_and_counts_it,
    reclaim_of_more_than_a_batch_heals_all,
    an_allocation_over_scratch_succeeds_and_keeps_its_data,
    an_allocation_over_scratch_shows_nothing_of_it,
    an_allocation_over_many_scratched_pages_waits_once,
    an_arena_whose_every_page_is_scratched_can_be_allocated_whole,
    a_freed_page_that_was_touched_can_be_allocated_again,
    figures_of_marks_agree_with_what_was_touched,
}

/// N18.
fn a_scratched_page_faults_again_only_after_reclaim(site: &Site<'_>) -> Checked {
    for round in 1..=5 {
        site.reads(page(100), 0, Faults::RECOVERED)?;
        site.writes(page(100), 1, Faults::NONE)?;
        site.reads(page(100), 1, Faults::NONE)?;
        site.violations(round)?;
        equal("healed", site.arena.reclaim().healed_pages, 1)?;
        equal("state", site.state(100), Some(SlotState::Vacant))?;
    }
    Ok(())
}

fn reclaim_heals_everywhere_and_counts_it(site: &Site<'_>) -> Checked {
    let places = [page(100), page(3000), 0, page(FIRST_PAGE + PAGES), 0x8000_0000, 0x8020_0000, END, END + 0x7ff8];
    for _ in 0..2 {
        for offset in places {
            site.reads(offset, 0, Faults::RECOVERED)?;
        }
        let done = site.arena.reclaim();
        equal("healed pages and regions", (done.healed_pages, done.healed_regions), (6, 2))?;
        let stats = site.arena.stats();
        equal("marks", (stats.tainted_pages, stats.tainted_regions), (0, 0))?;
    }
    Ok(())
}

fn reclaim_of_more_than_a_batch_heals_all(site: &Site<'_>) -> Checked {
    let touch = || -> Checked {
        for number in (100..500).step_by(2) {
            site.reads(page(number), 0, Faults::RECOVERED)?;
        }
        (100..140).try_for_each(|region| site.reads(region * 0x20_0000, 0, Faults::RECOVERED))
    };
    touch()?;
    let done = site.arena.reclaim();
    equal("healed pages and regions", (done.healed_pages, done.healed_regions), (200, 40))?;
    touch()?;
    site.violations(480)
}

/// N1; what Linux once answered with EBUSY for ever.
fn an_allocation_over_scratch_succeeds_and_keeps_its_data(site: &Site<'_>) -> Checked {
    site.writes(page(100), 0xbad, Faults::RECOVERED)?;
    site.alloc_at(100, 1)?;
    site.writes(page(100), 0x600d, Faults::NONE)?;
    site.reads(page(100), 0x600d, Faults::NONE)?;
    // A wild store elsewhere does not reach it, nor does reclaim.
    site.writes(page(200), 0xbad, Faults::RECOVERED)?;
    site.arena.reclaim();
    site.reads(page(100), 0x600d, Faults::NONE)?;
    holds("it is mapped", matches!(site.state(100), Some(SlotState::Mapped(_, Owner::Kernel))))
}

fn an_allocation_over_scratch_shows_nothing_of_it(site: &Site<'_>) -> Checked {
    for offset in (0..4096).step_by(8) {
        holds("wild store", site.write(page(100) + offset, !0))?;
    }
    site.alloc_at(99, 3)?;
    for number in 99..102 {
        for offset in (0..4096).step_by(512) {
            site.reads(page(number) + offset, 0, Faults::NONE)?;
        }
    }
    site.violations(1)
}

fn an_allocation_over_many_scratched_pages_waits_once(site: &Site<'_>) -> Checked {
    for number in 100..150 {
        site.reads(page(number), 0, Faults::RECOVERED)?;
    }
    let before = site.arena.stats().shootdowns;
    site.alloc_at(90, 80)?;
    equal("shootdowns", site.arena.stats().shootdowns - before, 1)?;
    for number in 90..170 {
        site.writes(page(number), 1, Faults::NONE)?;
    }
    equal("marks", site.arena.stats().tainted_pages, 0)
}

fn an_arena_whose_every_page_is_scratched_can_be_allocated_whole(site: &Site<'_>) -> Checked {
    site.bench.with_arena(FIRST_PAGE, 512, |inner| {
        for number in FIRST_PAGE..FIRST_PAGE + 512 {
            inner.reads(page(number), 0, Faults::RECOVERED)?;
        }
        let all = inner.alloc(512)?;
        inner.fill(all, 3)?;
        inner.all_words_are(all, 3)
    })
}

fn a_freed_page_that_was_touched_can_be_allocated_again(site: &Site<'_>) -> Checked {
    for value in 1..20 {
        site.alloc_at(100, 1)?;
        site.reads(page(100), 0, Faults::NONE)?;
        site.writes(page(100), value, Faults::NONE)?;
        site.free(100, 1)?;
        site.writes(page(100), 0xbad, Faults::RECOVERED)?;
    }
    site.violations(19)
}

fn figures_of_marks_agree_with_what_was_touched(site: &Site<'_>) -> Checked {
    for number in [0, 100, 101, 4000] {
        site.reads(page(number), 0, Faults::RECOVERED)?;
    }
    for offset in [0x8000_0000, 0xfff0_0000] {
        site.reads(offset, 0, Faults::RECOVERED)?;
    }
    site.reads(END + 5 * 4096, 0, Faults::RECOVERED)?;
    let stats = site.arena.stats();
    equal("marked pages and regions", (stats.tainted_pages, stats.tainted_regions), (5, 2))?;
    equal("pages in use", stats.claimed_pages, 0)?;
    equal("violations", (stats.violations, stats.violations_lost), (7, 0))
}
