//! Healing: the scratch page is taken away again.

use alloc::format;

use super::offset;
use crate::KernelArena;
use crate::map;
use crate::memory::{Access, load};
use crate::report::Report;

/// Shows that a violation is seen once a healing.
pub(super) fn heal(report: &Report, arena: &KernelArena) {
    report.section(
        "Healing",
        "Where the scratch page stands in, further accesses cause no fault: a program gone wild does not slow the \
         kernel down. `reclaim` takes it away everywhere, and the next wild access is seen again.",
    );
    let again = load(arena, offset(100, 8));
    report.check(again == Access::Plain(0), "page 100 is read again: no fault, and nothing recorded");
    report.check(arena.take_violation().is_none(), "the record is empty");

    let done = arena.reclaim();
    report.check(
        done.healed_pages == 6 && done.healed_regions == 1,
        format!(
            "`reclaim` healed {} pages (two of them in the upper guard) and {} region of 2 MiB",
            done.healed_pages, done.healed_regions
        ),
    );
    let after = load(arena, offset(100, 8));
    report.check(after == Access::Recovered(0), "page 100 is read once more: a fault, recovered");
    let seen = arena.take_violation().is_some_and(|record| record.address.value() & 0xffff_ffff == 100 * 4096 + 8);
    report.check(seen, "and recorded, under its exact address");
    report.check(
        arena.stats().tainted_pages == 2,
        "page 64 keeps its scratch page as long as it is reserved; page 100 was just touched",
    );
    map::draw(report, arena);
}
