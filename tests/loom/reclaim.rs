//! Reclaim, on two CPUs at once, against deferred frees, faults and allocations.
//!
//! Guards: a queue bit or mark is taken with the slot that it stands for (set with Release, taken with Acquire), so that no
//! page stays queued or scratched for ever without anybody knowing; I2 when reclaim heals; I1 when a free settles what
//! it vacated; I6, one free each.
//!
//! No bound on preemptions, but two where both sides flush: between two flushes each of reclaim's steps on a page is two
//! operations, bit and slot.

use kernel_arena::{Context, FaultOutcome, Owner, PageCount, SlotState};

use crate::explore::{UNBOUNDED, bounded_unless_long, explore, preemptions, preemptions_if_long};
use crate::machine::{Reached, Small, on_cpu};
use crate::race::{race, race_of_three};
use crate::stale::Stale;
use crate::world::{ModelArena, all_read, at, fault_at, one_page, own, page, retire, start, wild_load};

#[test]
fn a_deferred_page_is_reclaimed_once_by_whoever_takes_it() {
    explore("two reclaims against a deferred free", bounded_unless_long(3), 3, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        let pages = arena.alloc_pages(one_page(Context::MayWait)).expect("an empty arena");
        let reclaim = |arena: &ModelArena| arena.reclaim().freed_pages;
        let (ours, theirs, freed) = race_of_three(first, &arena, reclaim, reclaim, move |arena| {
            arena.free_pages_deferred(pages.to_ptr(), PageCount::ONE, Owner::Kernel)
        });
        assert_eq!(freed, Ok(()));
        assert_eq!(arena.validate(), Ok(()));
        assert_eq!(ours + theirs + arena.reclaim().freed_pages, 1);
        assert!(arena.page_state(page(1)).is_some_and(SlotState::is_vacant));
        assert_eq!(arena.stats().claimed_pages, 0);
        retire(arena);
    });
}

#[test]
fn scratch_is_marked_at_rest_whatever_reclaim_saw() {
    for faults_before in [0, 1] {
        explore(&format!("reclaim against a fault, {faults_before} before"), UNBOUNDED, 2, move |memory, first| {
            let arena = start::<Stale>(memory, 1, 1);
            for _ in 0..faults_before {
                assert_eq!(arena.handle_kernel_fault(&fault_at(&arena, page(1))), FaultOutcome::Recovered);
            }
            let fault = |arena: &ModelArena<Stale>| arena.handle_kernel_fault(&fault_at(arena, page(1)));
            let (_, outcome) = race(first, &arena, ModelArena::<Stale>::reclaim, fault);
            assert_ne!(outcome, FaultOutcome::NotOurs);
            assert_eq!(arena.validate(), Ok(()));
            arena.reclaim();
            assert_eq!(arena.page_state(page(1)), Some(SlotState::Vacant));
            retire(arena);
        });
    }
}

#[test]
fn a_page_outside_the_extent_heals_without_a_claim() {
    explore("two reclaims against a fault outside the extent", preemptions_if_long(2, 5), 3, |memory, first| {
        // Page 0 shares the leaf table of the extent's only page.
        let arena = start::<Stale>(memory, 1, 1);
        let reclaim = |arena: &ModelArena<Stale>| arena.reclaim().healed_pages;
        let fault = |arena: &ModelArena<Stale>| arena.handle_kernel_fault(&fault_at(arena, page(0)));
        let (ours, theirs, outcome) = race_of_three(first, &arena, reclaim, reclaim, fault);
        assert_eq!(outcome, FaultOutcome::Recovered);
        assert_eq!(arena.validate(), Ok(()));
        assert_eq!(ours + theirs + arena.reclaim().healed_pages, 1);
        retire(arena);
    });
}

#[test]
fn a_region_that_is_linked_is_marked_at_rest() {
    for linked in [false, true] {
        explore(
            &format!("reclaim against a fault in a region, linked before: {linked}"),
            UNBOUNDED,
            2,
            move |memory, first| {
                let arena = start::<Stale>(memory, 1, 1);
                if linked {
                    assert_eq!(wild_load(&arena, page(8)), Some(Reached::Scratch));
                }
                let (_, seen) = race(first, &arena, ModelArena::<Stale>::reclaim, |arena| wild_load(arena, page(8)));
                assert!(matches!(seen, None | Some(Reached::Scratch)));
                assert_eq!(arena.validate(), Ok(()));
                arena.reclaim();
                arena.platform().assert_no_tlb_knows(page(8));
                assert_eq!(arena.stats().tainted_regions, 0);
                retire(arena);
            },
        );
    }
}

#[test]
fn a_healed_page_is_allocated_only_after_the_flush() {
    for context in [Context::MayWait, Context::Any] {
        explore(&format!("healing against alloc, {context:?}"), preemptions(2), 2, move |memory, first| {
            let arena = start::<Small>(memory, 1, 1);
            for cpu in [0, 1] {
                assert_eq!(on_cpu(cpu, || wild_load(&arena, page(1))), Some(Reached::Scratch));
            }
            let alloc =
                move |arena: &ModelArena| arena.alloc_pages(one_page(context)).map(|pages| own(arena, pages, 6));
            let (_, allocated) = race(first, &arena, ModelArena::<Small>::reclaim, alloc);
            if allocated.is_err() {
                arena.reclaim();
                own(&arena, arena.alloc_pages(one_page(Context::Any)).expect("healed"), 6);
            }
            all_read(&arena, page(1), 6);
            retire(arena);
        });
    }
}

#[test]
fn a_vacated_page_is_settled_only_after_the_flush() {
    explore("settling against a free and a wild access", preemptions_if_long(2, 3), 3, |memory, first| {
        let arena = start::<Stale>(memory, 1, 1);
        let alloc = |arena: &ModelArena<Stale>| arena.alloc_pages(one_page(Context::MayWait)).expect("there is room");
        let free = |arena: &ModelArena<Stale>| arena.free_pages(at(1), PageCount::ONE, Owner::Kernel);
        alloc(&arena);
        assert_eq!(on_cpu(0, || wild_load(&arena, page(1))), Some(Reached::Page(0)));
        let touch = |arena: &ModelArena<Stale>| wild_load(arena, page(1));
        let (freed, _, _) = race_of_three(first, &arena, free, ModelArena::<Stale>::reclaim, touch);
        assert_eq!(freed, Ok(()));
        assert_eq!(arena.validate(), Ok(()));
        arena.reclaim();
        arena.platform().assert_no_tlb_knows(page(1));
        retire(arena);
    });
}
