//! Reserved pages.

use kernel_arena::{AllocError, Owner, SlotState};

use crate::bench::{FIRST_PAGE, PAGES};
use crate::check::{Checked, equal, holds, refused};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{Site, index, page, pages, pointer};

claims! {
    reserved_pages_are_never_allocated,
    reserved_pages_take_no_frame,
    wild_access_to_a_reserved_page_is_recovered_and_it_stays_reserved,
    a_reserved_page_keeps_its_scratch_through_reclaim_until_it_is_freed,
    a_page_with_scratch_can_be_reserved,
    a_freed_reservation_can_be_allocated_and_shows_no_scratch,
}

fn reserved_pages_are_never_allocated(site: &Site<'_>) -> Checked {
    site.reserve(FIRST_PAGE, 10)?;
    site.reserve(FIRST_PAGE + 11, PAGES - 11)?;
    equal("the one page left", site.alloc(1)?.first(), index(FIRST_PAGE + 10))?;
    holds("no other", matches!(site.arena.alloc_pages(pages(1)), Err(AllocError::NoSpace(_))))?;
    let exact = pages(1).exactly_at(pointer(2000));
    refused("at an exact place", site.arena.alloc_pages(exact), AllocError::Taken { page: index(2000) })
}

fn reserved_pages_take_no_frame(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    site.reserve(100, 1000)?;
    equal("frames", site.bench.frames().free_count(), before)?;
    equal("pages in use", site.arena.stats().claimed_pages, 1000)?;
    equal("a slot", site.state(1099), Some(SlotState::Reserved(Owner::Kernel)))
}

/// T30.
fn wild_access_to_a_reserved_page_is_recovered_and_it_stays_reserved(site: &Site<'_>) -> Checked {
    site.reserve(100, 3)?;
    site.reads(page(101), 0, Faults::RECOVERED)?;
    site.writes(page(102), 1, Faults::RECOVERED)?;
    equal("its slot", site.state(101), Some(SlotState::ScratchOverReserved(Owner::Kernel)))?;
    let taken = AllocError::Taken { page: index(101) };
    refused("alloc", site.arena.alloc_pages(pages(1).exactly_at(pointer(101))), taken)?;
    equal("pages in use", site.arena.stats().claimed_pages, 3)?;
    site.violations(2)
}

fn a_reserved_page_keeps_its_scratch_through_reclaim_until_it_is_freed(site: &Site<'_>) -> Checked {
    site.reserve(100, 1)?;
    site.writes(page(100), 1, Faults::RECOVERED)?;
    equal("healed", site.arena.reclaim().healed_pages, 0)?;
    // The scratch page is zero again, but it is still there.
    site.reads(page(100), 0, Faults::NONE)?;
    equal("marks", site.arena.stats().tainted_pages, 1)?;
    site.free(100, 1)?;
    site.reads(page(100), 0, Faults::RECOVERED)?;
    site.arena.reclaim();
    equal("marks after", site.arena.stats().tainted_pages, 0)
}

fn a_page_with_scratch_can_be_reserved(site: &Site<'_>) -> Checked {
    site.reads(page(101), 0, Faults::RECOVERED)?;
    site.reserve(100, 3)?;
    equal("its slot", site.state(101), Some(SlotState::ScratchOverReserved(Owner::Kernel)))?;
    site.reads(page(101), 0, Faults::NONE)?;
    site.free(100, 3)?;
    site.reads(page(101), 0, Faults::RECOVERED)
}

fn a_freed_reservation_can_be_allocated_and_shows_no_scratch(site: &Site<'_>) -> Checked {
    site.reserve(100, 4)?;
    site.writes(page(101), 0xbad, Faults::RECOVERED)?;
    site.free(100, 4)?;
    site.alloc_at(100, 4)?;
    site.reads(page(101), 0, Faults::NONE)?;
    site.writes(page(101), 5, Faults::NONE)?;
    site.reads(page(101), 5, Faults::NONE)
}
