//! Creating and destroying arenas.

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_arena::{ArenaLayout, CreateError};

use support::{KernelPlatform, probe_read_u64};

use crate::bench::{FIRST_PAGE, KernelArena, Metadata, PAGES, entries};
use crate::check::{Checked, Failure, equal, holds};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{PAGE, Site, page};

claims! {
    this_cpu_is_fit_for_arenas,
    create_takes_just_the_frames_that_the_layout_announces,
    tables_for_16_mib_cost_64_kib_at_most,
    a_new_arena_is_empty_and_valid,
    create_links_the_five_lent_entries,
    create_refuses_metadata_that_is_too_small,
    create_refuses_when_frames_run_out_and_gives_back_those_it_took,
    destroy_gives_back_pages_in_every_state,
    destroyed_window_forgets_its_pages_and_is_not_recovered,
    a_window_can_be_used_again_and_knows_nothing_of_before,
}

fn this_cpu_is_fit_for_arenas(site: &Site<'_>) -> Checked {
    equal("check_cpu", site.arena.check_cpu(), Ok(()))
}

fn create_takes_just_the_frames_that_the_layout_announces(site: &Site<'_>) -> Checked {
    for (first, pages) in [(1, 1), (1, 511), (1, 512), (FIRST_PAGE, PAGES), (5000, 3), (1 << 19, 1 << 19)] {
        let before = site.bench.frames().free_count();
        let arena = site.bench.create(first, pages)?;
        let taken = before - site.bench.frames().free_count();
        let announced = arena.layout().table_frames().get();
        let counted = arena.stats().table_frames;
        site.bench.destroy(arena)?;
        equal("frames taken", (taken, counted), (announced as usize, announced))?;
        equal("frames after", site.bench.frames().free_count(), before)?;
    }
    Ok(())
}

fn tables_for_16_mib_cost_64_kib_at_most(site: &Site<'_>) -> Checked {
    let layout = site.arena.layout();
    holds("tables and scratch page are 64 KiB at most", layout.table_frames().bytes() <= 64 << 10)?;
    holds("metadata is 8 KiB at most", layout.metadata_size() <= 8 << 10)
}

fn a_new_arena_is_empty_and_valid(site: &Site<'_>) -> Checked {
    site.arena.validate()?;
    let stats = site.arena.stats();
    let pages = [stats.claimed_pages, stats.deferred_pages, stats.tainted_pages, stats.tainted_regions];
    equal("pages in use, deferred, tainted, and tainted regions", pages, [0; 4])?;
    equal("violations", (stats.violations, stats.violations_lost), (0, 0))?;
    site.no_violation()
}

fn create_links_the_five_lent_entries(site: &Site<'_>) -> Checked {
    let words = entries(site.arena.platform());
    holds("each lent entry is present", words.iter().all(|word| word & 1 == 1))?;
    let distinct = words.iter().enumerate().all(|(index, word)| !words[..index].contains(word));
    holds("no two are the same", distinct)
}

/// Tries to create an arena, which must be refused, with all of the loan given back.
fn refused(
    site: &Site<'_>,
    platform: KernelPlatform,
    layout: ArenaLayout,
    metadata: Metadata,
) -> Result<CreateError, Failure> {
    let lent = metadata.len();
    match KernelArena::new(platform, layout, metadata) {
        Ok(arena) => {
            site.bench.destroy(arena)?;
            Err(Failure::new("the arena was created"))
        }
        Err(refused) => {
            let back = refused.metadata.len();
            site.bench.keep(refused.metadata);
            equal("upper entries", entries(&refused.platform), [0; 5])?;
            equal("metadata that came back", back, lent)?;
            Ok(refused.error)
        }
    }
}

fn create_refuses_metadata_that_is_too_small(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    for missing in [1, 100] {
        let (platform, layout) = site.bench.prepare(FIRST_PAGE, PAGES)?;
        let metadata = Box::leak(Box::new_uninit_slice(layout.metadata_words() - missing));
        equal("the answer", refused(site, platform, layout, metadata)?, CreateError::MetadataTooSmall)?;
        equal("frames after", site.bench.frames().free_count(), before)?;
    }
    Ok(())
}

fn create_refuses_when_frames_run_out_and_gives_back_those_it_took(site: &Site<'_>) -> Checked {
    let frames = site.bench.frames();
    for left in [0, 3, 7, 15] {
        let (platform, layout) = site.bench.prepare(FIRST_PAGE, PAGES)?;
        let metadata = site.bench.metadata(&layout);
        let hidden: Vec<_> = (left..frames.free_count()).filter_map(|_| frames.alloc()).collect();
        let answer = refused(site, platform, layout, metadata);
        let remaining = frames.free_count();
        hidden.into_iter().for_each(|frame| frames.free(frame));
        equal("the answer", answer?, CreateError::OutOfFrames)?;
        equal("frames after", remaining, left)?;
    }
    Ok(())
}

fn destroy_gives_back_pages_in_every_state(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    let outcome = site.bench.with_arena(FIRST_PAGE, PAGES, |inner| {
        inner.alloc_at(100, 70)?;
        inner.alloc_at(300, 10)?;
        inner.defer(300, 4)?;
        inner.reserve(400, 5)?;
        for offset in [page(400), page(500), 0x9000_0000, PAGE] {
            inner.reads(offset, 0, Faults::RECOVERED)?;
        }
        Ok(())
    });
    // `with_arena` destroys it; its checks of entries and metadata are in `outcome`.
    outcome.and(equal("frames after", site.bench.frames().free_count(), before))
}

fn destroyed_window_forgets_its_pages_and_is_not_recovered(site: &Site<'_>) -> Checked {
    let arena = site.bench.create(FIRST_PAGE, PAGES)?;
    let pages = arena.alloc_pages(crate::site::pages(1))?;
    let address = arena.layout().to_kernel(pages.to_ptr()).value();
    let read = || {
        // SAFETY: nothing that Rust knows of is in any window.
        unsafe { probe_read_u64(address) }
    };
    let alive = read();
    let unfreed = site.bench.destroy(arena)?;
    equal("a read while the arena lives", alive, Some(0))?;
    equal("pages that were not freed", unfreed, 1)?;
    site.expect("a read from the destroyed window", |_| read(), None, Faults::DECLINED)
}

fn a_window_can_be_used_again_and_knows_nothing_of_before(site: &Site<'_>) -> Checked {
    let mut bases = Vec::new();
    for _ in 0..3 {
        site.bench.with_arena(FIRST_PAGE, PAGES, |inner| {
            bases.push(inner.address(0));
            inner.reads(page(20), 0, Faults::RECOVERED)?;
            inner.writes(page(20), 0xbad, Faults::NONE)?;
            inner.reads(0x8000_0000, 0xbad, Faults::RECOVERED)?;
            inner.alloc_at(30, 1)?;
            inner.writes(page(30), 0xbad, Faults::NONE)?;
            inner.violations(2)
        })?;
    }
    let base = bases.first().copied().ok_or_else(|| Failure::new("no arena"))?;
    holds("each got the same window", bases.iter().all(|other| *other == base))
}
