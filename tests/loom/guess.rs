//! Frees that nothing orders after the allocation: a program passes an address that it only guessed.
//!
//! Guards I3 (a slot is changed with Acquire: the zeroing of the frame comes before its next life) and I5, for frames. The
//! frame source asks that what was done to a frame before it is freed happens before the free; here only the slot can say so.
//!
//! No bound on preemptions.

use kernel_arena::{Context, FreeError, Owner, PageCount};

use crate::explore::{UNBOUNDED, explore};
use crate::machine::Small;
use crate::race::race;
use crate::world::{ModelArena, at, one_page, own, retire, start};

fn free(arena: &ModelArena) -> Result<(), FreeError> {
    arena.free_pages(at(1), PageCount::ONE, Owner::Kernel)
}

#[test]
fn a_guessed_free_orders_the_frame_after_its_zeroing() {
    explore("guessed free against alloc", UNBOUNDED, 2, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        let alloc = |arena: &ModelArena| arena.alloc_pages(one_page(Context::MayWait));
        let (allocated, guessed) = race(first, &arena, alloc, free);
        assert!(allocated.is_ok(), "an empty arena");
        if guessed.is_ok() {
            let pages = arena.alloc_pages(one_page(Context::Any)).expect("free again");
            own(&arena, pages, 1);
        }
        retire(arena);
    });
}

#[test]
fn a_guessed_deferred_free_orders_the_frame_after_its_zeroing() {
    explore("guessed deferred free against alloc", UNBOUNDED, 2, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        let alloc = |arena: &ModelArena| arena.alloc_pages(one_page(Context::MayWait));
        let (allocated, (queued, reclaimed)) = race(first, &arena, alloc, |arena| {
            let queued = arena.free_pages_deferred(at(1), PageCount::ONE, Owner::Kernel);
            (queued, arena.reclaim().freed_pages)
        });
        assert!(allocated.is_ok(), "an empty arena");
        assert_eq!(u32::from(queued.is_ok()), reclaimed);
        retire(arena);
    });
}

#[test]
fn a_guessed_free_of_a_page_that_was_allocated_again_orders_its_new_zeroing() {
    explore("guessed free against alloc, free, alloc", UNBOUNDED, 2, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        arena.alloc_pages(one_page(Context::MayWait)).expect("an empty arena");
        // The guess may look at the first page, and free the second: same frame, same word.
        let free_and_alloc = |arena: &ModelArena| (free(arena), arena.alloc_pages(one_page(Context::Any)));
        let ((ours, again), guessed) = race(first, &arena, free_and_alloc, free);
        let frees = u32::from(ours.is_ok()) + u32::from(guessed.is_ok());
        let allocations = 1 + u32::from(again.is_ok());
        assert_eq!(arena.stats().claimed_pages, allocations - frees);
        retire(arena);
    });
}
