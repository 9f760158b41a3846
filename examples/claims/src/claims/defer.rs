//! Deferred frees, and reclaim, which finishes them.

use kernel_arena::{AllocError, Reclaimed, ReserveError, SlotState};

use crate::check::{Checked, equal, holds, refused};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, count, index, page, pages, pointer};

claims! {
    a_deferred_page_stays_usable_until_reclaim_and_faults_then,
    a_deferred_page_is_nobodys_until_reclaim,
    a_deferred_free_keeps_its_frames_until_reclaim,
    a_deferred_free_of_a_reservation_is_over_at_once,
    a_deferred_free_of_a_scratched_reservation_leaves_scratch_for_reclaim,
    a_deferred_free_of_many_pages_is_reclaimed_whole,
    reclaim_with_nothing_to_do_does_nothing,
}

fn a_deferred_page_stays_usable_until_reclaim_and_faults_then(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 3)?;
    site.writes(page(101), 7, Faults::NONE)?;
    site.defer(100, 3)?;
    site.reads(page(101), 7, Faults::NONE)?;
    site.writes(page(101), 8, Faults::NONE)?;
    site.reads(page(101), 8, Faults::NONE)?;
    equal("reclaimed", site.arena.reclaim(), Reclaimed { freed_pages: 3, ..Reclaimed::default() })?;
    site.reads(page(101), 0, Faults::RECOVERED)?;
    site.violations(1)
}

fn a_deferred_page_is_nobodys_until_reclaim(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 1)?;
    site.defer(100, 1)?;
    holds("it says deferred", matches!(site.state(100), Some(SlotState::Deferred(..))))?;
    let taken = AllocError::Taken { page: index(100) };
    refused("alloc", site.arena.alloc_pages(pages(1).exactly_at(pointer(100))), taken)?;
    refused("reserve", site.reserve(100, 1), ReserveError::Taken { page: index(100) })?;
    holds("free", site.free(100, 1).is_err())?;
    equal("deferred pages", site.arena.stats().deferred_pages, 1)?;
    site.arena.reclaim();
    equal("deferred pages after", site.arena.stats().deferred_pages, 0)?;
    site.alloc_at(100, 1)?;
    site.reads(page(100), 0, Faults::NONE)
}

fn a_deferred_free_keeps_its_frames_until_reclaim(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    site.alloc_at(100, 20)?;
    let shootdowns = site.arena.stats().shootdowns;
    site.defer(100, 20)?;
    equal("frames", before - site.bench.frames().free_count(), 20)?;
    equal("shootdowns", site.arena.stats().shootdowns - shootdowns, 0)?;
    site.arena.reclaim();
    equal("frames after", site.bench.frames().free_count(), before)
}

fn a_deferred_free_of_a_reservation_is_over_at_once(site: &Site<'_>) -> Checked {
    site.reserve(100, 5)?;
    site.defer(100, 5)?;
    equal("pages in use", site.arena.stats().claimed_pages, 0)?;
    site.alloc_at(100, 5)
}

fn a_deferred_free_of_a_scratched_reservation_leaves_scratch_for_reclaim(site: &Site<'_>) -> Checked {
    site.reserve(100, 1)?;
    site.reads(page(100), 0, Faults::RECOVERED)?;
    site.defer(100, 1)?;
    equal("state", site.state(100), Some(SlotState::Scratch))?;
    site.reads(page(100), 0, Faults::NONE)?;
    equal("healed", site.arena.reclaim().healed_pages, 1)?;
    site.reads(page(100), 0, Faults::RECOVERED)
}

fn a_deferred_free_of_many_pages_is_reclaimed_whole(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    site.arena.alloc_pages(pages(333).exactly_at(pointer(50)))?;
    site.defer(50, 300)?;
    site.defer(360, 23)?;
    equal("deferred", site.arena.stats().deferred_pages, 323)?;
    equal("reclaimed", site.arena.reclaim().freed_pages, 323)?;
    equal("frames", before - site.bench.frames().free_count(), 10)?;
    equal("still there", site.arena.stats().claimed_pages, count(10).get())
}

fn reclaim_with_nothing_to_do_does_nothing(site: &Site<'_>) -> Checked {
    site.alloc(5)?;
    site.reserve(100, 5)?;
    let before = site.arena.stats();
    equal("reclaimed", site.arena.reclaim(), Reclaimed::default())?;
    equal("figures", site.arena.stats(), before)
}
