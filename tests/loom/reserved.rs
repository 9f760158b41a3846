//! A reserved page that holds scratch is freed, which takes its mark, against whoever else is at the page.
//!
//! Guards: scratch is marked at rest, whoever was faster, and a page that is in use is not; I2: the next page is installed when no TLB remembers scratch.
//!
//! No bound on preemptions between two frees, otherwise three.

use kernel_arena::{Context, FaultOutcome, FreeError, Owner, PageCount, SlotState};

use crate::explore::{UNBOUNDED, explore, preemptions};
use crate::machine::{Reached, on_cpu};
use crate::race::race;
use crate::stale::Stale;
use crate::world::{ModelArena, all_read, at, fault_at, one_page, own, page, retire, start, wild_load};

type Freed = Result<(), FreeError>;

fn reserve_scratched(arena: &ModelArena<Stale>) {
    assert_eq!(arena.reserve_pages(at(1), PageCount::ONE, Owner::Kernel), Ok(()));
    assert_eq!(on_cpu(1, || wild_load(arena, page(1))), Some(Reached::Scratch));
}

fn free(arena: &ModelArena<Stale>) -> Freed {
    arena.free_pages(at(1), PageCount::ONE, Owner::Kernel)
}

fn free_deferred(arena: &ModelArena<Stale>) -> Freed {
    arena.free_pages_deferred(at(1), PageCount::ONE, Owner::Kernel)
}

#[test]
fn scratch_is_marked_whichever_free_is_faster() {
    explore("free of a scratched reservation against a deferred one", UNBOUNDED, 2, |memory, first| {
        let arena = start::<Stale>(memory, 1, 1);
        reserve_scratched(&arena);
        let (ours, theirs) = race(first, &arena, free, free_deferred);
        assert_eq!([ours, theirs].iter().filter(|freed| freed.is_ok()).count(), 1, "{ours:?}, {theirs:?}");
        assert_eq!(arena.validate(), Ok(()));
        arena.reclaim();
        assert_eq!(arena.stats().tainted_pages, 0);
        retire(arena);
    });
}

#[test]
fn scratch_that_a_fault_brings_after_the_free_is_marked() {
    explore("free of a scratched reservation against faults", preemptions(3), 2, |memory, first| {
        let arena = start::<Stale>(memory, 1, 1);
        reserve_scratched(&arena);
        let fault = |arena: &ModelArena<Stale>| arena.handle_kernel_fault(&fault_at(arena, page(1)));
        let (freed, outcomes) = race(first, &arena, free, move |arena| [fault(arena), fault(arena)]);
        assert_eq!(freed, Ok(()));
        assert!(!outcomes.contains(&FaultOutcome::NotOurs), "{outcomes:?}");
        assert_eq!(arena.validate(), Ok(()));
        arena.reclaim();
        assert_eq!(arena.page_state(page(1)), Some(SlotState::Vacant));
        retire(arena);
    });
}

#[test]
fn a_scratched_reservation_that_was_freed_is_allocated_only_after_the_flush() {
    explore("free of a scratched reservation against alloc", preemptions(3), 2, |memory, first| {
        let arena = start::<Stale>(memory, 1, 1);
        reserve_scratched(&arena);
        let alloc = |arena: &ModelArena<Stale>| {
            let allocated = arena.alloc_pages(one_page(Context::Any));
            allocated.map(|pages| own(arena, pages, 6)).is_ok()
        };
        let (freed, allocated) = race(first, &arena, free, alloc);
        assert_eq!(freed, Ok(()));
        if !allocated {
            own(&arena, arena.alloc_pages(one_page(Context::Any)).expect("no mark is left"), 6);
        }
        all_read(&arena, page(1), 6);
        retire(arena);
    });
}

#[test]
fn a_free_that_lost_to_an_allocation_in_place_leaves_no_mark() {
    explore("free of a scratched reservation against alloc in it", preemptions(3), 2, |memory, first| {
        let arena = start::<Stale>(memory, 1, 1);
        reserve_scratched(&arena);
        let alloc = |arena: &ModelArena<Stale>| {
            let request = one_page(Context::MayWait).in_reservation(at(1));
            arena.alloc_pages(request).is_ok()
        };
        let _either = race(first, &arena, free, alloc);
        if matches!(arena.page_state(page(1)), Some(SlotState::Mapped(..))) {
            assert_eq!(arena.stats().tainted_pages, 0, "a page in use is marked");
        }
        retire(arena);
    });
}
