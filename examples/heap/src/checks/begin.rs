//! How the heap came to be: what was tried before it was there is told here.

use super::{Told, checks, nothing};
use crate::bench::Site;
use crate::check::{equal, holds};
use crate::memory::{HEAP, arena, pages_in, stats};

use kernel_arena::{Owner, Sharing, SlotState};

checks! {
    before_it_has_memory_the_heap_gives_null_and_errors,
    a_heap_on_memory_that_programs_see_is_refused,
    a_heap_without_bookkeeping_is_refused_and_loses_nothing,
    after_refusals_there_is_still_no_heap,
    a_heap_is_initialised_once,
    every_page_of_the_heap_is_the_allocators,
}

fn before_it_has_memory_the_heap_gives_null_and_errors(site: &Site) -> Told {
    holds("null, errors and no figures", site.early.nothing_before)?;
    nothing()
}

fn a_heap_on_memory_that_programs_see_is_refused(site: &Site) -> Told {
    holds("a shared arena was refused", site.early.shared_refused)?;
    equal("the heap's arena", arena().layout().sharing(), Sharing::Private)?;
    nothing()
}

fn a_heap_without_bookkeeping_is_refused_and_loses_nothing(site: &Site) -> Told {
    holds("an attempt without frames was refused, and took none", site.early.poor_refused)?;
    nothing()
}

fn after_refusals_there_is_still_no_heap(site: &Site) -> Told {
    holds("null, errors and no figures", site.early.nothing_after)?;
    nothing()
}

fn a_heap_is_initialised_once(site: &Site) -> Told {
    holds("a second attempt was refused, took nothing, and the heap went on", site.early.twice_refused)?;
    holds("it is there", HEAP.slab().is_some())?;
    nothing()
}

/// Neither a program nor the kernel can free them (I7).
fn every_page_of_the_heap_is_the_allocators(_: &Site) -> Told {
    let owners = |owner| {
        let extent = arena().layout().extent();
        let has = |state: Option<SlotState>| matches!(state, Some(SlotState::Mapped(_, found)) if found == owner);
        extent.pages().filter(|page| has(arena().page_state(*page))).count() as u64
    };
    let block = core::hint::black_box(alloc::vec![7_u64; 3000]);
    let held = pages_in(stats().held_bytes);
    holds("some are held", held >= 6)?;
    equal("pages of the allocator's", owners(Owner::Allocator), held)?;
    equal("pages of the kernel's", owners(Owner::Kernel), 0)?;
    equal("pages of a program's", owners(Owner::Program), 0)?;
    drop(block);
    nothing()
}
