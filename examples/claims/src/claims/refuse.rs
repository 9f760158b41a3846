//! What allocation and reservation refuse.

use kernel_arena::{AllocError, AllocRequest, ArenaPtr, Context, Owner, PageCount, Reclaimable, ReserveError};

use crate::bench::{FIRST_PAGE, PAGES};
use crate::check::{Checked, equal, refused};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, count, index, page, pages, pointer};

claims! {
    alloc_refuses_zero_pages,
    alloc_refuses_an_alignment_that_is_no_power_of_two,
    alloc_refuses_a_place_inside_a_page,
    alloc_refuses_places_outside_the_extent,
    alloc_refuses_more_pages_than_the_extent_has,
    alloc_refuses_an_exact_place_of_which_any_page_is_taken,
    alloc_refuses_for_want_of_a_run_and_says_what_reclaim_would_bring,
    alloc_that_may_not_wait_refuses_an_exact_place_with_scratch,
    reserve_refuses_zero_pages,
    reserve_refuses_a_place_inside_a_page,
    reserve_refuses_places_outside_the_extent,
    reserve_refuses_when_any_page_is_taken_and_keeps_none,
}

/// Asks for what is refused, and checks that it cost nothing.
fn refuses(site: &Site<'_>, what: &str, request: AllocRequest, expected: AllocError) -> Checked {
    let before = (site.bench.frames().free_count(), site.arena.stats());
    refused(what, site.arena.alloc_pages(request), expected)?;
    equal("frames and figures after", (site.bench.frames().free_count(), site.arena.stats()), before)
}

fn alloc_refuses_zero_pages(site: &Site<'_>) -> Checked {
    refuses(site, "anywhere", pages(0), AllocError::ZeroPages)?;
    refuses(site, "exactly", pages(0).exactly_at(pointer(FIRST_PAGE)), AllocError::ZeroPages)
}

fn alloc_refuses_an_alignment_that_is_no_power_of_two(site: &Site<'_>) -> Checked {
    for align in [0, 3, 6, 4095] {
        refuses(site, "alignment", pages(1).aligned(count(align)), AllocError::BadAlignment)?;
    }
    Ok(())
}

fn alloc_refuses_a_place_inside_a_page(site: &Site<'_>) -> Checked {
    for byte in [1, 8, 2048, 4095] {
        let at = ArenaPtr::new(pointer(100).offset() + byte).unwrap();
        refuses(site, "place", pages(1).exactly_at(at), AllocError::Misaligned)?;
    }
    Ok(())
}

fn alloc_refuses_places_outside_the_extent(site: &Site<'_>) -> Checked {
    let end = FIRST_PAGE + PAGES;
    for (first, number) in
        [(1, 1), (FIRST_PAGE - 1, 1), (FIRST_PAGE - 1, 2), (end, 1), (end - 1, 2), ((1 << 20) - 1, 1), (1, 1 << 20)]
    {
        refuses(site, "place", pages(number).exactly_at(pointer(first)), AllocError::Outside)?;
    }
    Ok(())
}

fn alloc_refuses_more_pages_than_the_extent_has(site: &Site<'_>) -> Checked {
    refuses(site, "one too many", pages(PAGES + 1), AllocError::Outside)?;
    refuses(site, "a whole window", pages(1 << 20), AllocError::Outside)
}

fn alloc_refuses_an_exact_place_of_which_any_page_is_taken(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 1)?;
    site.reserve(200, 1)?;
    site.alloc_at(300, 1)?;
    site.defer(300, 1)?;
    for taken in [100, 200, 300] {
        for (first, number) in [(taken, 1), (taken - 70, 71), (taken, 70), (taken - 1, 3)] {
            let request = pages(number).exactly_at(pointer(first));
            refused("place", site.arena.alloc_pages(request), AllocError::Taken { page: index(taken) })?;
        }
        // The pages beside it were not kept.
        site.alloc_at(taken - 1, 1)?;
        site.alloc_at(taken + 1, 1)?;
    }
    Ok(())
}

fn alloc_refuses_for_want_of_a_run_and_says_what_reclaim_would_bring(site: &Site<'_>) -> Checked {
    site.alloc(PAGES)?;
    refuses(site, "a full arena", pages(1), AllocError::NoSpace(Reclaimable::default()))?;
    site.free(2000, 1)?;
    site.free(3000, 1)?;
    refuses(site, "two gaps of a page", pages(2), AllocError::NoSpace(Reclaimable::default()))?;
    site.defer(2001, 5)?;
    site.reads(page(3000), 0, Faults::RECOVERED)?;
    let reclaimable = Reclaimable { deferred: 5, tainted: 1, foreign: None };
    refuses(site, "with pages to reclaim", pages(6), AllocError::NoSpace(reclaimable))?;
    site.arena.reclaim();
    equal("after reclaim", site.alloc(6)?.first(), index(2000))
}

fn alloc_that_may_not_wait_refuses_an_exact_place_with_scratch(site: &Site<'_>) -> Checked {
    site.reads(page(101), 0, Faults::RECOVERED)?;
    let request = pages(3).exactly_at(pointer(100)).in_context(Context::Any);
    refuses(site, "place", request, AllocError::Tainted { page: index(101) })?;
    site.arena.reclaim();
    site.arena.alloc_pages(request)?;
    Ok(())
}

fn reserve_at(site: &Site<'_>, at: ArenaPtr, number: PageCount, expected: ReserveError) -> Checked {
    let before = site.arena.stats();
    refused("a reservation", site.arena.reserve_pages(at, number, Owner::Program), expected)?;
    equal("figures after", site.arena.stats(), before)
}

fn reserve_refuses_zero_pages(site: &Site<'_>) -> Checked {
    reserve_at(site, pointer(100), PageCount::ZERO, ReserveError::ZeroPages)
}

/// Linux says 0 here, and reserves nothing.
fn reserve_refuses_a_place_inside_a_page(site: &Site<'_>) -> Checked {
    reserve_at(site, ArenaPtr::new(pointer(100).offset() + 3).unwrap(), PageCount::ONE, ReserveError::Misaligned)
}

fn reserve_refuses_places_outside_the_extent(site: &Site<'_>) -> Checked {
    let end = FIRST_PAGE + PAGES;
    for (first, number) in [(1, 1), (FIRST_PAGE - 1, 2), (end, 1), (end - 1, 2), (1, 1 << 20)] {
        reserve_at(site, pointer(first), count(number), ReserveError::Outside)?;
    }
    Ok(())
}

fn reserve_refuses_when_any_page_is_taken_and_keeps_none(site: &Site<'_>) -> Checked {
    site.alloc_at(150, 1)?;
    reserve_at(site, pointer(100), count(51), ReserveError::Taken { page: index(150) })?;
    site.reserve(100, 50)?;
    reserve_at(site, pointer(149), count(1), ReserveError::Taken { page: index(149) })?;
    equal("pages in use", site.arena.stats().claimed_pages, 51)
}
