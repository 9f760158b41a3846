//! A free against an allocation that re-uses the page, while stale accesses go on.
//!
//! Guards I1, I2 and I5: no two TLBs know different frames for a page; no TLB maps a frame that is free (checked whenever
//! one goes back or is taken) or another's (checked by each new owner); the new owner's content is zero, and nobody reaches
//! it through the old translation; no page and no frame is lost. Also I6: of two frees of one page, one frees it.
//!
//! No bound on preemptions, but two where a third CPU makes wild accesses: one leaves an operation in its middle, and the
//! other stops what runs there where the first is to go on. Three where a page is freed twice, for the same once more, and
//! where reclaim stands against an allocation: what would be out of order there is so after one.

use std::sync::Arc;

use kernel_arena::{AllocError, ArenaPtr, Context, FreeError, Owner, PageCount};

use crate::explore::{UNBOUNDED, bounded_unless_long, explore, preemptions, preemptions_if_long};
use crate::machine::{Reached, Small, on_cpu};
use crate::race::{race, race_of_three};
use crate::world::{ModelArena, all_read, one_page, own, page, retire, start, wild_load};

const OLD: u64 = 5;
const NEW: u64 = 9;

fn at() -> ArenaPtr {
    crate::world::at(1)
}

/// An arena whose only page is allocated, known to two TLBs, and holds [`OLD`]. CPU 2 has to walk.
fn with_old_page(memory: &Arc<crate::frames::Memory>) -> Arc<ModelArena> {
    let arena = start::<Small>(memory, 1, 1);
    let pages = arena.alloc_pages(one_page(Context::MayWait)).expect("an empty arena");
    own(&arena, pages, OLD);
    assert_eq!(on_cpu(1, || arena.platform().load(page(1))), Ok(Reached::Page(OLD)));
    arena
}

/// The other CPU's part: it allocates the page if it can, and then owns it.
fn reuse(arena: &ModelArena, context: Context) -> bool {
    match arena.alloc_pages(one_page(context)) {
        Ok(pages) => {
            own(arena, pages, NEW);
            assert_eq!(arena.platform().load(page(1)), Ok(Reached::Page(NEW)));
            true
        }
        Err(AllocError::NoSpace(_) | AllocError::Busy(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

/// After everything, the page is the new owner's, or free to be had.
fn settle(arena: Arc<ModelArena>, reused: bool) {
    if !reused {
        arena.reclaim();
        assert!(reuse(&arena, Context::Any), "the page is lost");
    }
    all_read(&arena, page(1), NEW);
    retire(arena);
}

#[test]
fn a_page_that_is_freed_and_allocated_again_is_never_two_pages() {
    for context in [Context::MayWait, Context::Any] {
        explore(&format!("free against alloc, {context:?}"), bounded_unless_long(3), 2, move |memory, first| {
            let arena = with_old_page(memory);
            let free = |arena: &ModelArena| {
                arena.free_pages(at(), PageCount::ONE, Owner::Kernel).expect("freed once");
                // Whoever is here now, it is not the old page.
                assert!(matches!(arena.platform().load(page(1)), Err(_) | Ok(Reached::Page(0 | NEW))));
            };
            let ((), reused) = race(first, &arena, free, move |arena| reuse(arena, context));
            settle(arena, reused);
        });
    }
}

#[test]
fn wild_accesses_during_a_free_reach_the_old_page_or_the_new_one() {
    explore("free against alloc against a wild load", preemptions_if_long(1, 2), 3, |memory, first| {
        let arena = with_old_page(memory);
        let (freed, reused, seen) = race_of_three(
            first,
            &arena,
            |arena| arena.free_pages(at(), PageCount::ONE, Owner::Kernel),
            |arena| reuse(arena, Context::MayWait),
            |arena| wild_load(arena, page(1)),
        );
        assert_eq!(freed, Ok(()));
        assert!(matches!(seen, None | Some(Reached::Scratch | Reached::Page(OLD | 0 | NEW))), "{seen:x?}");
        settle(arena, reused);
    });
}

#[test]
fn a_deferred_page_is_re_used_only_after_reclaim_has_flushed_it() {
    explore("deferred free and reclaim against alloc", preemptions(3), 2, |memory, first| {
        let arena = with_old_page(memory);
        let free = |arena: &ModelArena| {
            arena.free_pages_deferred(at(), PageCount::ONE, Owner::Kernel).expect("freed once");
            // Until it is reclaimed it stays readable.
            assert_eq!(on_cpu(2, || arena.platform().load(page(1))), Ok(Reached::Page(OLD)));
            assert_eq!(arena.reclaim().freed_pages, 1);
        };
        let ((), reused) = race(first, &arena, free, |arena| reuse(arena, Context::MayWait));
        settle(arena, reused);
    });
}

#[test]
fn of_two_frees_one_has_the_page() {
    explore("free against deferred free", UNBOUNDED, 2, |memory, first| {
        let arena = with_old_page(memory);
        let (ours, theirs) = race(
            first,
            &arena,
            |arena| arena.free_pages(at(), PageCount::ONE, Owner::Kernel),
            |arena| arena.free_pages_deferred(at(), PageCount::ONE, Owner::Kernel),
        );
        let lost = |freed| matches!(freed, Err(FreeError::Raced { .. } | FreeError::NotAllocated { .. }));
        assert!(ours.is_ok() && lost(theirs) || theirs.is_ok() && lost(ours), "{ours:?}, {theirs:?}");
        settle(arena, false);
    });
}

#[test]
fn a_fault_whose_flush_is_out_of_date_does_not_put_scratch_over_a_page_that_was_used_since() {
    explore("alloc and free against a fault", preemptions(3), 2, |memory, first| {
        let arena = with_old_page(memory);
        let free = |arena: &ModelArena| arena.free_pages(at(), PageCount::ONE, Owner::Kernel).expect("freed once");
        free(&arena);
        let use_again = move |arena: &ModelArena| {
            own(arena, arena.alloc_pages(one_page(Context::MayWait)).expect("one fault does not keep it away"), NEW);
            free(arena);
        };
        let ((), seen) = race(first, &arena, use_again, |arena| wild_load(arena, page(1)));
        assert!(matches!(seen, None | Some(Reached::Scratch | Reached::Page(0 | NEW))), "{seen:x?}");
        settle(arena, false);
    });
}
