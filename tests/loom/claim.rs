//! Claims: one CPU has a page number at a time, and hands it over with all that it did to the slot.
//!
//! Guards I5 through the orderings of claim (Acquire) and un-claim (Release): a new holder that does not see the slot as its
//! last holder left it loses the page. Reservations claim and un-claim without frames or shootdowns, so nothing else orders.
//!
//! No bound on preemptions, but three where frames are taken and TLBs flushed on both sides.

use kernel_arena::{AllocError, Context, Owner, PageCount, PageRange, ReserveError, SlotState};

use crate::explore::{UNBOUNDED, explore, preemptions, preemptions_if_long};
use crate::machine::{Reached, Small, on_cpu};
use crate::race::race;
use crate::world::{ModelArena, all_read, at, one_page, own, page, retire, start, wild_load};

const TWO: PageCount = PageCount::new(2).expect("small");

#[test]
fn of_two_claims_of_overlapping_runs_exactly_one_wins() {
    explore("overlapping claims", UNBOUNDED, 2, |memory, first| {
        let arena = start::<Small>(memory, 2, 2);
        let (ours, theirs) = race(
            first,
            &arena,
            |arena| arena.reserve_pages(at(2), TWO, Owner::Kernel),
            |arena| arena.reserve_pages(at(3), PageCount::ONE, Owner::Program),
        );
        let states = [2, 3].map(|number| arena.page_state(page(number)).expect("in the extent"));
        let lost = |reserved| matches!(reserved, Err(ReserveError::Taken { .. } | ReserveError::Busy { .. }));
        if ours.is_ok() {
            assert!(lost(theirs), "{theirs:?}");
            assert_eq!(states, [SlotState::Reserved(Owner::Kernel); 2]);
        } else {
            assert!(lost(ours) && theirs.is_ok(), "{ours:?}, {theirs:?}");
            assert_eq!(states, [SlotState::Vacant, SlotState::Reserved(Owner::Program)]);
        }
        retire(arena);
    });
}

#[test]
fn two_allocations_never_share_a_page() {
    explore("two allocations", UNBOUNDED, 2, |memory, first| {
        let arena = start::<Small>(memory, 2, 2);
        let alloc = |arena: &ModelArena, value| {
            let pages = arena.alloc_pages(one_page(Context::Any)).expect("there are two pages");
            own(arena, pages, value);
            pages
        };
        let (ours, theirs) = race(first, &arena, move |arena| alloc(arena, 2), move |arena| alloc(arena, 1));
        assert_ne!(ours, theirs);
        all_read(&arena, theirs.first(), 1);
        all_read(&arena, ours.first(), 2);
        retire(arena);
    });
}

#[test]
fn a_page_number_is_handed_over_with_its_slot() {
    explore("un-claim, then claim", UNBOUNDED, 2, |memory, first| {
        let arena = start::<Small>(memory, 2, 2);
        arena.reserve_pages(at(2), PageCount::ONE, Owner::Kernel).expect("vacant");
        let (freed, reserved) = race(
            first,
            &arena,
            |arena| arena.free_pages_deferred(at(2), PageCount::ONE, Owner::Kernel),
            |arena| arena.reserve_pages(at(2), PageCount::ONE, Owner::Program),
        );
        assert_eq!(freed, Ok(()));
        if reserved.is_ok() {
            assert_eq!(arena.page_state(page(2)), Some(SlotState::Reserved(Owner::Program)));
        }
        retire(arena);
    });
}

#[test]
fn a_reserved_page_that_holds_scratch_is_given_up_with_its_mark() {
    for context in [Context::MayWait, Context::Any] {
        explore(
            &format!("scratched reservation given up against alloc, {context:?}"),
            preemptions_if_long(2, 3),
            2,
            move |memory, first| {
                let arena = start::<Small>(memory, 1, 1);
                arena.reserve_pages(at(1), PageCount::ONE, Owner::Kernel).expect("vacant");
                for cpu in [0, 1] {
                    assert_eq!(on_cpu(cpu, || wild_load(&arena, page(1))), Some(Reached::Scratch));
                }
                let (freed, allocated) = race(
                    first,
                    &arena,
                    |arena| arena.free_pages_deferred(at(1), PageCount::ONE, Owner::Kernel),
                    move |arena| arena.alloc_pages(one_page(context)).map(|pages| own(arena, pages, 4)),
                );
                assert_eq!(freed, Ok(()));
                if allocated.is_ok() {
                    assert_eq!(context, Context::MayWait, "a page that holds scratch is left alone");
                    all_read(&arena, page(1), 4);
                }
                retire(arena);
            },
        );
    }
}

#[test]
fn of_two_allocations_in_a_reservation_exactly_one_wins() {
    for context in [Context::MayWait, Context::Any] {
        let name = format!("two allocations in a reservation, {context:?}");
        explore(&name, preemptions(3), 2, move |memory, first| {
            let arena = start::<Small>(memory, 1, 1);
            arena.reserve_pages(at(1), PageCount::ONE, Owner::Kernel).expect("vacant");
            if context == Context::MayWait {
                for cpu in [0, 1] {
                    assert_eq!(on_cpu(cpu, || wild_load(&arena, page(1))), Some(Reached::Scratch));
                }
            }
            let alloc = move |arena: &ModelArena| {
                let request = one_page(context).in_reservation(at(1));
                arena.alloc_pages(request).map(|pages| own(arena, pages, 4))
            };
            let (ours, theirs) = race(first, &arena, alloc, alloc);
            assert!(ours.is_ok() != theirs.is_ok(), "{ours:?}, {theirs:?}");
            all_read(&arena, page(1), 4);
            retire(arena);
        });
    }
}

#[test]
fn an_allocation_in_a_reservation_against_a_fault_has_the_page_or_the_reservation() {
    for context in [Context::MayWait, Context::Any] {
        let name = format!("allocation in a reservation against a wild access, {context:?}");
        explore(&name, preemptions(3), 2, move |memory, first| {
            let arena = start::<Small>(memory, 1, 1);
            arena.reserve_pages(at(1), PageCount::ONE, Owner::Kernel).expect("vacant");
            let alloc = move |arena: &ModelArena| {
                let request = one_page(context).in_reservation(at(1));
                arena.alloc_pages(request).map(drop)
            };
            let touch = |arena: &ModelArena| wild_load(arena, page(1));
            let (allocated, _) = race(first, &arena, alloc, touch);
            match allocated {
                Ok(()) => own(&arena, PageRange::single(page(1)).expect("not page 0"), 4),
                Err(error) => {
                    assert!(matches!(error, AllocError::Tainted { .. }), "{error}");
                    assert_eq!(arena.page_state(page(1)), Some(SlotState::ScratchOverReserved(Owner::Kernel)));
                }
            }
            retire(arena);
        });
    }
}
