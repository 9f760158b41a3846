//! Freeing where nobody can wait.

use alloc::format;

use kernel_arena::{AllocError, AllocRequest, Owner};

use super::{count, offset, page, pointer};
use support::println;

use crate::KernelArena;
use crate::map;
use crate::memory::{Access, load, store};
use crate::report::{Report, Stop};

/// Frees pages deferred, and reclaims them.
pub(super) fn free_later(report: &Report, arena: &KernelArena) -> Result<(), Stop> {
    report.section(
        "Deferred frees",
        "A free must wait until no CPU remembers the page. In an interrupt nobody can wait, so a page can be queued \
         to be freed: that needs no memory and cannot fail half-way. `reclaim` finishes the job.",
    );
    let six = AllocRequest::new(count(6), Owner::Program).exactly_at(pointer(130));
    arena.alloc_pages(six)?;
    let stored = store(arena, offset(132, 0), 7);
    arena.free_pages_deferred(pointer(130), count(6), Owner::Program)?;
    let read = load(arena, offset(132, 0));
    let readable = stored == Access::Plain(7) && read == Access::Plain(7);
    report.check(readable, "6 pages are queued, and still readable: no fault");
    map::draw(report, arena);
    println!();
    let taken = AllocError::Taken { page: page(130) };
    report.check(arena.alloc_pages(six) == Err(taken), "but nobody gets them yet: \"page 130 is taken\"");
    let twice = arena.free_pages_deferred(pointer(130), count(6), Owner::Program);
    report.check(twice.is_err(), "nor can they be freed a second time");

    let done = arena.reclaim();
    report.check(done.freed_pages == 6, format!("`reclaim` frees {} pages", done.freed_pages));
    let gone = load(arena, offset(132, 0));
    report.check(gone == Access::Recovered(0), "a load from one of them faults now, and is recovered");
    let again = arena.alloc_pages(six);
    report.check(again.is_ok(), "and the same six can be allocated again");
    Ok(())
}
