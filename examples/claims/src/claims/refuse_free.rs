//! What frees refuse. Each refusal is a violation, for somebody lost track of whose pages are whose.

use kernel_arena::{ArenaPtr, FreeError, Owner, PageCount, ViolationKind};

use crate::bench::{FIRST_PAGE, PAGES};
use crate::check::{Checked, equal, refused};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, count, index, page, pointer};

claims! {
    free_refuses_zero_pages,
    free_refuses_a_place_inside_a_page,
    free_refuses_places_outside_the_extent,
    free_refuses_what_was_never_allocated,
    free_refuses_a_double_free,
    free_refuses_pages_of_another_owner,
    free_refuses_a_page_that_only_holds_scratch,
    free_refuses_the_whole_range_for_one_bad_page,
    a_refused_free_is_recorded_with_its_address,
}

/// Frees in both ways, which must be refused alike, change nothing and be recorded.
fn refuses(site: &Site<'_>, at: ArenaPtr, number: u32, owner: Owner, expected: FreeError) -> Checked {
    let before = (site.bench.frames().free_count(), site.arena.stats().claimed_pages);
    refused("free", site.arena.free_pages(at, count(number), owner), expected)?;
    refused("deferred free", site.arena.free_pages_deferred(at, count(number), owner), expected)?;
    let after = (site.bench.frames().free_count(), site.arena.stats().claimed_pages);
    equal("frames and pages in use after", after, before)?;
    for _ in 0..2 {
        let violation = site.violation()?;
        equal("its kind", violation.kind, ViolationKind::InvalidFree)?;
        equal("its address", violation.address, site.arena.layout().to_kernel(at))?;
    }
    site.no_violation()
}

fn free_refuses_zero_pages(site: &Site<'_>) -> Checked {
    let pages = site.alloc(1)?;
    refuses(site, pages.to_ptr(), 0, Owner::Kernel, FreeError::ZeroPages)
}

fn free_refuses_a_place_inside_a_page(site: &Site<'_>) -> Checked {
    let pages = site.alloc(1)?;
    for byte in [1, 16, 4095] {
        let at = ArenaPtr::new(pages.to_ptr().offset() + byte).unwrap();
        refuses(site, at, 1, Owner::Kernel, FreeError::Misaligned)?;
    }
    Ok(())
}

/// T3.
fn free_refuses_places_outside_the_extent(site: &Site<'_>) -> Checked {
    let end = FIRST_PAGE + PAGES;
    for (first, number) in [(1, 1), (FIRST_PAGE - 1, 1), (end, 1), (end - 1, 2), ((1 << 20) - 1, 1)] {
        refuses(site, pointer(first), number, Owner::Kernel, FreeError::Outside)?;
    }
    Ok(())
}

fn free_refuses_what_was_never_allocated(site: &Site<'_>) -> Checked {
    refuses(site, pointer(777), 1, Owner::Kernel, FreeError::NotAllocated { page: index(777) })
}

fn free_refuses_a_double_free(site: &Site<'_>) -> Checked {
    for defer_first in [Site::free, Site::defer] {
        site.alloc_at(500, 2)?;
        defer_first(site, 500, 2)?;
        refuses(site, pointer(500), 2, Owner::Kernel, FreeError::NotAllocated { page: index(500) })?;
    }
    Ok(())
}

/// I7.
fn free_refuses_pages_of_another_owner(site: &Site<'_>) -> Checked {
    site.alloc_at(500, 1)?;
    site.reserve(501, 1)?;
    for stranger in [Owner::Program, Owner::Allocator] {
        for number in [500, 501] {
            let error = FreeError::NotOwner { page: index(number), owner: Owner::Kernel };
            refuses(site, pointer(number), 1, stranger, error)?;
        }
    }
    site.free(500, 2)?;
    Ok(())
}

fn free_refuses_a_page_that_only_holds_scratch(site: &Site<'_>) -> Checked {
    site.reads(page(500), 0, Faults::RECOVERED)?;
    site.violation()?;
    refuses(site, pointer(500), 1, Owner::Kernel, FreeError::NotAllocated { page: index(500) })
}

fn free_refuses_the_whole_range_for_one_bad_page(site: &Site<'_>) -> Checked {
    site.alloc_at(500, 100)?;
    site.writes(page(500), 1, Faults::NONE)?;
    site.writes(page(598), 2, Faults::NONE)?;
    site.free(599, 1)?;
    refuses(site, pointer(500), 100, Owner::Kernel, FreeError::NotAllocated { page: index(599) })?;
    site.reads(page(500), 1, Faults::NONE)?;
    site.reads(page(598), 2, Faults::NONE)
}

fn a_refused_free_is_recorded_with_its_address(site: &Site<'_>) -> Checked {
    let at = ArenaPtr::new(0x0123_4567).unwrap();
    let answer = site.arena.free_pages(at, PageCount::ONE, Owner::Program);
    refused("free", answer, FreeError::Misaligned)?;
    let violation = site.violation()?;
    equal("kind", violation.kind, ViolationKind::InvalidFree)?;
    equal("address", violation.address, site.address(0x0123_4567))?;
    equal("instruction", violation.instruction.value(), 0)?;
    equal("number", violation.sequence, 0)?;
    equal("violations and exceptions", site.arena.stats().violations, 1)
}
