//! What was scribbled on the scratch page never shows in a real page.

use kernel_arena::{AllocRequest, Owner, SlotState};

use super::{count, offset, page, pointer};
use crate::KernelArena;
use crate::memory::{Access, load, store};
use crate::report::{Report, Stop};

/// Allocates a page over one that holds scratch.
pub(super) fn stay_hidden(report: &Report, arena: &KernelArena) -> Result<(), Stop> {
    report.section(
        "A real page over scratch",
        "A wild store leaves something on the scratch page. Then a page is allocated at the very same place.",
    );
    let wild = store(arena, offset(120, 0), 0xbad);
    report.check(wild == Access::Recovered(0xbad), "a wild store of 0xbad to page 120, recovered");
    let seen = load(arena, offset(121, 0));
    report.check(seen == Access::Recovered(0xbad), "a wild load from page 121 gives 0xbad: all share one scratch page");

    arena.alloc_pages(AllocRequest::new(count(1), Owner::Kernel).exactly_at(pointer(120)))?;
    let state = arena.page_state(page(120));
    let mapped = matches!(state, Some(SlotState::Mapped(_, Owner::Kernel)));
    report.check(mapped, "page 120 is allocated, with no `reclaim` in between");
    let clean = load(arena, offset(120, 0));
    report.check(clean == Access::Plain(0), "it is all its own: a load gives 0");
    let kept = store(arena, offset(120, 0), 0x600d);
    let kept = kept == Access::Plain(0x600d) && load(arena, offset(120, 0)) == Access::Plain(0x600d);
    report.check(kept, "0x600d is stored there and read back");
    let scratch = load(arena, offset(121, 0));
    report.check(scratch == Access::Plain(0xbad), "page 121 still shows 0xbad");

    arena.reclaim();
    let zeroed = load(arena, offset(121, 0));
    report.check(zeroed == Access::Recovered(0), "after `reclaim` the scratch page is zero again");
    let kept = load(arena, offset(120, 0));
    report.check(kept == Access::Plain(0x600d), "and page 120 still holds 0x600d");
    Ok(())
}
