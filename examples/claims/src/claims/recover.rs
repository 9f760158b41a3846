//! Wild accesses that are recovered.

use kernel_arena::SlotState;

use crate::bench::{FIRST_PAGE, PAGES};
use crate::check::{Checked, equal, holds};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{PAGE, Site, page};

claims! {
    wild_read_inside_the_extent_is_recovered_once,
    wild_write_inside_the_extent_is_recovered_once,
    wild_accesses_of_every_width_are_recovered,
    wild_access_beside_the_extent_is_recovered,
    wild_access_at_offset_0_is_recovered,
    wild_access_outside_the_extent_is_one_violation_a_region,
    wild_access_takes_no_memory,
    wild_access_leaves_its_neighbours_alone,
    recovered_load_gives_zero_then_what_a_wild_store_left,
    all_wild_pages_share_one_scratch_page,
    access_across_the_end_of_a_page_into_nothing_is_recovered,
    access_across_two_missing_pages_is_two_violations,
    an_ordinary_load_and_store_are_recovered,
}

fn wild_read_inside_the_extent_is_recovered_once(site: &Site<'_>) -> Checked {
    site.reads(page(100) + 0x10, 0, Faults::RECOVERED)?;
    equal("its slot", site.state(100), Some(SlotState::Scratch))?;
    site.reads(page(100) + 0x10, 0, Faults::NONE)?;
    site.reads(page(100) + 0xff0, 0, Faults::NONE)?;
    site.violations(1)
}

fn wild_write_inside_the_extent_is_recovered_once(site: &Site<'_>) -> Checked {
    site.writes(page(100) + 0x10, 5, Faults::RECOVERED)?;
    site.writes(page(100) + 0x10, 6, Faults::NONE)?;
    site.reads(page(100) + 0x10, 6, Faults::NONE)?;
    site.violations(1)
}

fn wild_accesses_of_every_width_are_recovered(site: &Site<'_>) -> Checked {
    let one = Faults::RECOVERED;
    site.expect("read 1", |site| site.read_u8(page(100)), Some(0), one)?;
    site.expect("read 4", |site| site.read_u32(page(101)), Some(0), one)?;
    site.expect("read 8", |site| site.read(page(102)), Some(0), one)?;
    site.expect("write 1", |site| site.write_u8(page(103), 0), true, one)?;
    site.expect("write 4", |site| site.write_u32(page(104), 0), true, one)?;
    site.expect("write 8", |site| site.write(page(105), 0), true, one)?;
    site.violations(6)
}

fn wild_access_beside_the_extent_is_recovered(site: &Site<'_>) -> Checked {
    // Leaf tables reach beyond the extent; there, too, it is a matter of pages.
    let end = FIRST_PAGE + PAGES;
    for number in [FIRST_PAGE - 1, FIRST_PAGE - 2, end, end + 1] {
        site.reads(page(number), 0, Faults::RECOVERED)?;
        site.reads(page(number), 0, Faults::NONE)?;
    }
    site.violations(4)?;
    equal("healed pages", site.arena.reclaim().healed_pages, 4)
}

fn wild_access_at_offset_0_is_recovered(site: &Site<'_>) -> Checked {
    site.expect("read", |site| site.read_u8(0), Some(0), Faults::RECOVERED)?;
    equal("address", site.violation()?.address, site.arena.layout().base())?;
    site.writes(0, 1, Faults::NONE)
}

fn wild_access_outside_the_extent_is_one_violation_a_region(site: &Site<'_>) -> Checked {
    let region = 0x8000_0000;
    site.reads(region + 0x1234, 0, Faults::RECOVERED)?;
    for place in [0, 0x1234, 0x1000, 0x10_0000, 0x1f_fff8] {
        site.reads(region + place, 0, Faults::NONE)?;
    }
    site.violations(1)?;
    site.reads(region - 8, 0, Faults::RECOVERED)?;
    site.writes(region + 0x20_0000, 3, Faults::RECOVERED)?;
    site.reads(0xffff_fff8, 0, Faults::RECOVERED)?;
    site.violations(4)?;
    equal("marked regions", site.arena.stats().tainted_regions, 4)?;
    let done = site.arena.reclaim();
    equal("healed", (done.healed_pages, done.healed_regions), (0, 4))?;
    for place in [0, 0x1f_fff8] {
        // The whole region was forgotten, not just the page that was touched first.
        let faults = if place == 0 { Faults::RECOVERED } else { Faults::NONE };
        site.reads(region + place, 0, faults)?;
    }
    site.violations(5)
}

fn wild_access_takes_no_memory(site: &Site<'_>) -> Checked {
    let before = site.bench.frames().free_count();
    for number in 0..200 {
        site.reads(page(number), 0, Faults::RECOVERED)?;
    }
    for region in 100..200 {
        site.reads(region * 0x20_0000, 0, Faults::RECOVERED)?;
    }
    equal("frames", site.bench.frames().free_count(), before)
}

fn wild_access_leaves_its_neighbours_alone(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 1)?;
    site.alloc_at(102, 1)?;
    site.writes(page(101) - 8, 1, Faults::NONE)?;
    site.writes(page(102), 2, Faults::NONE)?;
    site.writes(page(101), 0xbad, Faults::RECOVERED)?;
    site.writes(page(102) - 8, 0xbad, Faults::NONE)?;
    site.reads(page(101) - 8, 1, Faults::NONE)?;
    site.reads(page(102), 2, Faults::NONE)?;
    site.reads(page(103), 0xbad, Faults::RECOVERED)
}

fn recovered_load_gives_zero_then_what_a_wild_store_left(site: &Site<'_>) -> Checked {
    site.reads(page(100) + 64, 0, Faults::RECOVERED)?;
    site.writes(page(100) + 64, 0xabcd, Faults::NONE)?;
    site.reads(page(100) + 64, 0xabcd, Faults::NONE)?;
    site.arena.reclaim();
    site.reads(page(100) + 64, 0, Faults::RECOVERED)
}

fn all_wild_pages_share_one_scratch_page(site: &Site<'_>) -> Checked {
    site.writes(page(100) + 64, 0xabcd, Faults::RECOVERED)?;
    for offset in [page(200), page(2), 0x4000_0000, 0x1_0000_0000 + 3 * PAGE] {
        site.reads(offset + 64, 0xabcd, Faults::RECOVERED)?;
    }
    Ok(())
}

/// The fault comes from the second page: its address is that page's first byte.
fn access_across_the_end_of_a_page_into_nothing_is_recovered(site: &Site<'_>) -> Checked {
    site.alloc_at(100, 1)?;
    site.writes(page(101) - 8, 0x1122_3344_5566_7788, Faults::NONE)?;
    site.reads(page(101) - 4, 0x1122_3344, Faults::RECOVERED)?;
    equal("address", site.violation()?.address, site.address(page(101)))?;
    site.writes(page(101) - 4, 0xaaaa_bbbb_cccc_dddd, Faults::NONE)?;
    site.reads(page(101) - 8, 0xcccc_dddd_5566_7788, Faults::NONE)?;
    site.expect("the rest", |site| site.read_u32(page(101)), Some(0xaaaa_bbbb), Faults::NONE)?;
    // And the other way round: from nothing into a page.
    site.reads(page(100) - 3, 0, Faults::RECOVERED)?;
    equal("address", site.violation()?.address, site.address(page(100) - 3))?;
    site.no_violation()
}

fn access_across_two_missing_pages_is_two_violations(site: &Site<'_>) -> Checked {
    site.reads(page(301) - 4, 0, Faults::recovered(2))?;
    let mut addresses = [site.violation()?.address, site.violation()?.address];
    addresses.sort_unstable();
    equal("addresses", addresses, [site.address(page(301) - 4), site.address(page(301))])?;
    site.reads(page(301) - 4, 0, Faults::NONE)?;
    site.no_violation()
}

/// No probe: what the compiler makes of a dereferenced pointer.
fn an_ordinary_load_and_store_are_recovered(site: &Site<'_>) -> Checked {
    // If the arena did not help here, the kernel would end: that it does is tried on another page first.
    site.reads(page(400), 0, Faults::RECOVERED)?;
    let address = usize::try_from(site.address(page(401) + 8).value()).expect("a usize has 64 bits");
    let word = core::ptr::with_exposed_provenance_mut::<u64>(address);
    let before = Faults::so_far();
    // SAFETY: nothing that Rust knows of is in the window; the scratch page that will be there is plain memory.
    unsafe { word.write_volatile(42) };
    // SAFETY: as above.
    let read = unsafe { word.read_volatile() };
    equal("what was stored", (read, Faults::so_far().since(before)), (42, Faults::RECOVERED))?;
    holds("two violations", site.arena.stats().violations == 2)
}
