//! The guards, and what lies beyond.

use support::probe_read_u64;

use crate::check::{Checked, equal};
use crate::claims::claims;
use crate::fault::{Faults, with_only};
use crate::site::{END, GUARD, PAGE, Site, page};

claims! {
    the_upper_guard_is_recovered_from_its_first_to_its_last_byte,
    one_byte_past_the_upper_guard_is_declined,
    the_lower_guard_is_declined,
    an_access_across_the_windows_end_is_recovered,
    scratch_in_the_upper_guard_is_healed,
    an_arena_without_a_registry_has_the_same_bounds,
    an_address_that_is_no_arenas_is_declined,
}

fn the_upper_guard_is_recovered_from_its_first_to_its_last_byte(site: &Site<'_>) -> Checked {
    for offset in [END, END + GUARD - 1] {
        site.expect("read", |site| site.read_u8(offset), Some(0), Faults::RECOVERED)?;
        equal("address", site.violation()?.address, site.address(offset))?;
        site.expect("write", |site| site.write_u8(offset, 0), true, Faults::NONE)?;
    }
    for number in 1..7 {
        site.reads(END + number * PAGE, 0, Faults::RECOVERED)?;
    }
    site.violations(8)
}

fn one_byte_past_the_upper_guard_is_declined(site: &Site<'_>) -> Checked {
    site.expect("read", |site| site.read_u8(END + GUARD), None, Faults::DECLINED)?;
    site.expect("write", |site| site.write_u8(END + GUARD, 1), false, Faults::DECLINED)?;
    // One byte before it there is help, and still none after that.
    site.expect("read", |site| site.read_u8(END + GUARD - 1), Some(0), Faults::RECOVERED)?;
    site.expect("read", |site| site.read_u8(END + GUARD), None, Faults::DECLINED)?;
    site.violations(1)
}

fn the_lower_guard_is_declined(site: &Site<'_>) -> Checked {
    for offset in [-1, -8, -PAGE, -GUARD, -GUARD - 1] {
        site.expect("read", |site| site.read_u8(offset), None, Faults::DECLINED)?;
        site.expect("write", |site| site.write_u8(offset, 1), false, Faults::DECLINED)?;
    }
    site.violations(0)?;
    equal("marks", site.arena.stats().tainted_pages, 0)
}

fn an_access_across_the_windows_end_is_recovered(site: &Site<'_>) -> Checked {
    site.reads(END - 4, 0, Faults::recovered(2))?;
    site.violations(2)?;
    let stats = site.arena.stats();
    equal("marked pages and regions", (stats.tainted_pages, stats.tainted_regions), (1, 1))
}

fn scratch_in_the_upper_guard_is_healed(site: &Site<'_>) -> Checked {
    site.writes(END + 8, 0xbad, Faults::RECOVERED)?;
    site.reads(END + 8, 0xbad, Faults::NONE)?;
    equal("healed", site.arena.reclaim().healed_pages, 1)?;
    site.reads(END + 8, 0, Faults::RECOVERED)?;
    site.violations(2)
}

/// The registry looks at the bounds too, so it could hide an arena that does not.
fn an_arena_without_a_registry_has_the_same_bounds(site: &Site<'_>) -> Checked {
    with_only(site.arena, || {
        for offset in [0, page(100), END - 1, END, END + GUARD - 1] {
            site.expect("read", |site| site.read_u8(offset), Some(0), Faults::RECOVERED)?;
        }
        for offset in [-1, -GUARD, END + GUARD, END + GUARD + PAGE] {
            site.expect("read", |site| site.read_u8(offset), None, Faults::DECLINED)?;
        }
        site.violations(5)
    })
}

fn an_address_that_is_no_arenas_is_declined(site: &Site<'_>) -> Checked {
    const NULL: u64 = 16;
    // Above every usual place of a kernel or program, in the lower half, and mapped by nobody.
    const LOWER_HALF: u64 = 0x0000_0070_1234_5678;
    let next_window = site.address(0).value() + 2 * (1 << 32);
    for address in [NULL, LOWER_HALF, next_window, next_window + 0x1_0000] {
        site.expect(
            &alloc::format!("read at {address:#x}"),
            |_| {
                // SAFETY: nothing is mapped there.
                unsafe { probe_read_u64(address) }
            },
            None,
            Faults::DECLINED,
        )?;
    }
    site.violations(0)
}
