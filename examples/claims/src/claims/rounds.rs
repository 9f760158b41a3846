//! Everything together, a hundred times, with all totals exact.

use kernel_arena::{Owner, PAGE_SIZE};

use crate::bench::{FIRST_PAGE, PAGES};
use crate::check::{Checked, equal};
use crate::claims::claims;
use crate::fault::Faults;
use crate::site::{END, Site, count, page, pointer};

claims! {
    a_hundred_rounds_of_use_and_abuse_leave_every_total_exact,
    two_arenas_used_in_turns_stay_exact,
}

/// A round: allocations, wild accesses, frees of both kinds, reservations, reclaim. Gives the violations it caused.
fn round(site: &Site<'_>, number: u32) -> Result<u64, crate::check::Failure> {
    let frames = site.bench.frames().free_count();
    let before = (site.arena.stats().violations, Faults::so_far());
    let size = 1 + number * 7 % 130;
    let kept = site.alloc(size)?;
    let first = kept.first().number();
    let value = u64::from(number) << 8;
    for at in kept.pages() {
        site.writes(page(at.number()) + 8, value + u64::from(at.number()), Faults::NONE)?;
    }
    // Far from `kept`, and other pages in each round.
    let wild = 2000 + number * 11 % 900;
    site.writes(page(wild), 0xbad, Faults::RECOVERED)?;
    site.reads(page(wild + 1), 0xbad, Faults::RECOVERED)?;
    site.reads(0x9000_0000 + i64::from(number) * 0x20_0000, 0xbad, Faults::RECOVERED)?;
    site.writes(END + i64::from(number % 8) * PAGE_SIZE.cast_signed(), 0, Faults::RECOVERED)?;
    site.reserve(wild + 2, 3)?;
    site.reads(page(wild + 3), 0, Faults::RECOVERED)?;
    site.alloc_at(wild, 2)?;
    site.reads(page(wild), 0, Faults::NONE)?;
    site.arena.validate()?;

    let half = size / 2;
    if half > 0 {
        site.free(first, half)?;
        site.reads(page(first) + 8, 0, Faults::RECOVERED)?;
    }
    site.arena.free_pages_deferred(pointer(first + half), count(size - half), Owner::Kernel)?;
    site.reads(page(first + half) + 8, value + u64::from(first + half), Faults::NONE)?;
    site.free(wild, 5)?;
    site.arena.validate()?;
    let done = site.arena.reclaim();
    equal("freed by reclaim", done.freed_pages, size - half)?;
    equal("healed pages", done.healed_pages, 1 + u32::from(half > 0))?;
    equal("healed regions", done.healed_regions, 1)?;
    site.arena.validate()?;

    let stats = site.arena.stats();
    let rest = [stats.claimed_pages, stats.deferred_pages, stats.tainted_pages, stats.tainted_regions];
    equal("pages in use, deferred, marked, and marked regions", rest, [0; 4])?;
    equal("frames", site.bench.frames().free_count(), frames)?;
    let violations = stats.violations - before.0;
    equal("faults", Faults::so_far().since(before.1), Faults::recovered(violations))?;
    equal("violations", violations, 5 + u64::from(half > 0))?;
    Ok(violations)
}

/// Takes all records, which follow on `next` without a gap; gives the number that comes after.
fn drain(site: &Site<'_>, mut next: u64) -> Result<u64, crate::check::Failure> {
    while let Some(violation) = site.arena.take_violation() {
        equal("number", violation.sequence, next)?;
        next += 1;
    }
    Ok(next)
}

fn a_hundred_rounds_of_use_and_abuse_leave_every_total_exact(site: &Site<'_>) -> Checked {
    let (mut violations, mut drained) = (0, 0);
    for number in 0..100 {
        violations += round(site, number)?;
        drained = drain(site, drained)?;
    }
    let stats = site.arena.stats();
    equal(
        "violations, drained and lost",
        (drained, stats.violations, stats.violations_lost),
        (violations, violations, 0),
    )?;
    site.alloc_at(FIRST_PAGE, PAGES)
}

fn two_arenas_used_in_turns_stay_exact(site: &Site<'_>) -> Checked {
    site.bench.with_arena(FIRST_PAGE, PAGES, |other| {
        let mut violations = [0; 2];
        for number in 0..20 {
            violations[0] += round(site, number)?;
            violations[1] += round(other, 99 - number)?;
        }
        let found = [site, other].map(|site| site.arena.stats().violations);
        equal("violations", found, violations)
    })
}
