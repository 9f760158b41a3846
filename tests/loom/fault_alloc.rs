//! A fault against an allocation of the same page: S1 against S2 and S3.
//!
//! Guards I2 (no TLB keeps the scratch page once the allocation has returned), I3 (who reaches the new frame finds it
//! zeroed), I9 (an allocation that fails leaves nothing but marks), and that scratch is marked at rest.
//!
//! No bound on preemptions but where it is stated, and in the fast tests three.

use std::sync::Arc;

use kernel_arena::{AllocError, AllocRequest, Context, Owner, PageCount};

use crate::explore::{bounded_unless_long, explore};
use crate::machine::{Reached, Small, on_cpu};
use crate::race::{First, race};
use crate::world::{ModelArena, all_read, at, one_page, own, page, retire, start, wild_load};

/// What was at the page before.
#[derive(Clone, Copy)]
enum Before {
    /// Nothing.
    Fresh,
    /// The scratch page, and two CPUs remember it.
    Scratched,
    /// A page that was freed: its slot says vacated, and a fault flushes before S1.
    Freed,
}

fn prepare(arena: &ModelArena, before: Before) {
    match before {
        Before::Fresh => {}
        Before::Scratched => {
            for cpu in [0, 1] {
                assert_eq!(on_cpu(cpu, || wild_load(arena, page(1))), Some(Reached::Scratch));
            }
        }
        Before::Freed => {
            let pages = arena.alloc_pages(one_page(Context::MayWait)).expect("an empty arena");
            arena.free_pages(pages.to_ptr(), PageCount::ONE, Owner::Kernel).expect("allocated");
        }
    }
}

/// Runs both, and returns whether the allocation succeeded.
fn fault_against_alloc(first: First, arena: &Arc<ModelArena>, request: AllocRequest) -> Result<(), AllocError> {
    let alloc = move |arena: &ModelArena| arena.alloc_pages(request).map(|pages| own(arena, pages, 7));
    let (allocated, seen) = race(first, arena, alloc, |arena| wild_load(arena, page(1)));
    assert!(matches!(seen, None | Some(Reached::Scratch | Reached::Page(0 | 7))), "a wild load saw {seen:x?}");
    allocated
}

fn may_wait(name: &str, before: Before) {
    explore(name, bounded_unless_long(3), 2, move |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        prepare(&arena, before);
        fault_against_alloc(first, &arena, one_page(Context::MayWait)).expect("one fault does not keep it from a page");
        all_read(&arena, page(1), 7);
        retire(arena);
    });
}

fn any_context(name: &str, before: Before, request: AllocRequest) {
    explore(name, bounded_unless_long(3), 2, move |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        prepare(&arena, before);
        match fault_against_alloc(first, &arena, request) {
            Ok(()) => all_read(&arena, page(1), 7),
            Err(AllocError::NoSpace(_) | AllocError::Busy(_) | AllocError::Tainted { .. }) => {
                assert_eq!(arena.validate(), Ok(()));
                // What stood in the way is healed, and then the page is there.
                assert_eq!(arena.reclaim().healed_pages, 1);
                let pages = arena.alloc_pages(one_page(Context::Any)).expect("healed");
                own(&arena, pages, 8);
                all_read(&arena, page(1), 8);
            }
            Err(error) => panic!("{error}"),
        }
        retire(arena);
    });
}

#[test]
fn alloc_that_may_wait_wins_over_a_fault_on_a_fresh_page() {
    may_wait("fault against alloc, may wait, fresh", Before::Fresh);
}

#[test]
fn alloc_that_may_wait_heals_a_scratched_page() {
    may_wait("fault against alloc, may wait, scratched", Before::Scratched);
}

#[test]
fn alloc_that_may_wait_wins_over_a_fault_on_a_freed_page() {
    may_wait("fault against alloc, may wait, freed", Before::Freed);
}

#[test]
fn alloc_in_any_context_against_a_fault_on_a_fresh_page_takes_all_or_nothing() {
    any_context("fault against alloc, any context, fresh", Before::Fresh, one_page(Context::Any));
}

#[test]
fn alloc_in_any_context_against_a_fault_on_a_freed_page_takes_all_or_nothing() {
    any_context("fault against alloc, any context, freed", Before::Freed, one_page(Context::Any));
}

#[test]
fn alloc_of_this_page_in_any_context_against_a_fault_takes_all_or_nothing() {
    let exactly = one_page(Context::Any).exactly_at(at(1));
    any_context("fault against alloc of this page, any context", Before::Fresh, exactly);
}
