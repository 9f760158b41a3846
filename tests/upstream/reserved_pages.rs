//! Reserved pages among others: accesses to them, allocations and frees across them, and an arena with globals in it, which are
//! here pages that somebody has allocated at a place of his choice beforehand.

use kernel_arena::{AllocError, Owner, ReserveError, SlotState, ViolationKind};

use super::{after, alloc, defer, free, index, page, pages, refused, request, reserve, state, states};
use crate::machine::{Format, Machine, count};

/// T30: as for any page that is not there. A load gives 0 until a wild store, and from then on what that left on the scratch
/// page, until `reclaim`.
fn accesses_to_reserved_pages_do_not_reach_them<F: Format>() {
    let m = Machine::<F>::builder().build();
    let reserved = page(5);
    assert_eq!(reserve(&m, reserved, 4), Ok(()));
    let before = m.frames_in_use();
    let each = || (0..4).map(|n| after(reserved, n));
    for at in each() {
        assert_eq!(m.read(0, at), Ok(0));
        assert_eq!(m.arena().take_violation().unwrap().kind, ViolationKind::Read);
        assert_eq!(state(&m, at), SlotState::ScratchOverReserved(Owner::Program));
    }
    m.write(1, reserved, 7).unwrap();
    assert!(each().all(|at| m.read(0, at) == Ok(7)), "one scratch page stands in for all");
    m.arena().reclaim();
    assert!(each().all(|at| m.read(1, at) == Ok(0)));
    assert_eq!(m.frames_in_use(), before);
    assert_eq!(refused(&m, || reserve(&m, reserved, 4)), ReserveError::Taken { page: index(5) }, "it still is");
    m.free(reserved, 4);
    assert_eq!(alloc(&m, request(4).exactly_at(reserved)), Ok(reserved));
    m.finish();
}

/// The same where the first access is a store.
fn a_store_to_a_reserved_page_is_recorded_as_one<F: Format>() {
    let m = Machine::<F>::builder().build();
    assert_eq!(reserve(&m, page(9), 1), Ok(()));
    m.write(1, page(9), 1).unwrap();
    let violation = m.arena().take_violation().unwrap();
    assert_eq!((violation.kind, violation.address), (ViolationKind::Write, m.at(page(9))));
    m.free(page(9), 1);
    assert!(state(&m, page(9)).is_vacant());
    m.finish();
}

/// Its mark goes with it, so that nobody looks for scratch any more: not even where the page is allocated before a `reclaim`. What
/// was stored on the scratch page is zeroed all the same, once.
fn a_scratched_reservation_that_is_freed_leaves_no_mark<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 8).build();
    let marked = || m.arena().stats().tainted_pages;
    for count in [1, 3] {
        assert_eq!(reserve(&m, page(2), count), Ok(()));
        (0..count).for_each(|n| m.write(1, after(page(2), n), 7).unwrap());
        m.arena().reclaim();
        assert_eq!(marked(), count, "scratch stays on what is reserved");
        m.write(1, page(2), 7).unwrap();
        m.take_flushes();
        m.free(page(2), count);
        assert_eq!((marked(), m.take_flushes().len()), (0, 1), "one shootdown for all");
        assert_eq!(m.arena().alloc_pages(request(count).exactly_at(page(2))), Ok(pages(2, count)));
        // Nothing but what the free has noted says that there is something to zero.
        m.arena().reclaim();
        assert_eq!(m.read(0, page(6)), Ok(0));
        m.arena().reclaim();
        m.free(page(2), count);
    }
    // As long as another page has scratch, its mark stays.
    assert_eq!(reserve(&m, page(2), 2), Ok(()));
    [2, 3].into_iter().for_each(|number| m.write(1, page(number), 7).unwrap());
    m.free(page(3), 1);
    assert_eq!((marked(), state(&m, page(2))), (1, SlotState::ScratchOverReserved(Owner::Program)));
    m.free(page(2), 1);
    assert_eq!(marked(), 0);
    m.finish();
}

/// T31.
fn an_allocation_that_overlaps_a_reservation_fails_as_a_whole<F: Format>() {
    let m = Machine::<F>::builder().build();
    assert_eq!(reserve(&m, page(10), 5), Ok(()));
    for (first, pages, taken) in [(8, 4, 10), (8, 20, 10), (12, 1, 12), (14, 2, 14), (10, 5, 10), (1, 64, 10)] {
        let request = request(pages).exactly_at(page(first));
        let taken = AllocError::Taken { page: index(taken) };
        assert_eq!(refused(&m, || alloc(&m, request)), taken, "{first} {pages}");
    }
    let (below, above) = (request(9).exactly_at(page(1)), request(50).exactly_at(page(15)));
    assert_eq!([alloc(&m, below), alloc(&m, above)], [Ok(page(1)), Ok(page(15))]);
    assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::NoSpace(super::NOTHING));
    m.finish();
}

/// T31: the same for hundreds of pages, of which only one far behind is in the way.
fn an_overlap_far_behind_leaves_no_page_claimed<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 300).frames(400).build();
    assert_eq!(reserve(&m, page(200), 1), Ok(()));
    for (first, pages) in [(1, 300), (60, 141), (199, 2), (120, 100)] {
        let taken = AllocError::Taken { page: index(200) };
        assert_eq!(refused(&m, || alloc(&m, request(pages).exactly_at(page(first)))), taken);
        assert_eq!(refused(&m, || reserve(&m, page(first), pages)), ReserveError::Taken { page: index(200) });
    }
    assert_eq!([m.alloc(199), m.alloc(100)], [page(1), page(201)]);
    m.finish();
}

/// T32.
fn one_free_takes_allocated_and_reserved_pages<F: Format>() {
    for freed in [free::<F>, defer::<F>] {
        let m = Machine::<F>::builder().extent(1, 2).build();
        let before = m.frames_in_use();
        assert_eq!(m.alloc(1), page(1));
        assert_eq!(reserve(&m, page(2), 1), Ok(()));
        assert_eq!(freed(&m, page(1), 2), Ok(()));
        m.arena().reclaim();
        assert_eq!(m.frames_in_use(), before);
        assert!(states(&m).iter().all(|state| state.is_vacant()));
        assert_eq!(alloc(&m, request(1).exactly_at(page(2))), Ok(page(2)));
        assert_eq!(alloc(&m, request(1).exactly_at(page(1))), Ok(page(1)));
        m.finish();
    }
}

/// T33: globals on the page numbered 16 of 64.
fn what_is_before_the_globals_can_be_reserved<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 64).build();
    let globals = request(1).exactly_at(page(1 + 16));
    assert_eq!(m.arena().alloc_pages(globals), Ok(pages(17, 1)));
    assert_eq!(reserve(&m, page(1), 16), Ok(()));
    assert_eq!(refused(&m, || reserve(&m, page(17), 1)), ReserveError::Taken { page: index(17) });
    assert_eq!(reserve(&m, page(18), 47), Ok(()));
    m.finish();
}

/// T34: globals on all of 32 pages.
fn nothing_can_be_reserved_where_globals_fill_the_arena<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 32).build();
    assert_eq!(alloc(&m, request(32).exactly_at(page(1))), Ok(page(1)));
    for number in 1..=32 {
        let taken = ReserveError::Taken { page: index(number) };
        assert_eq!(m.arena().reserve_pages(page(number), count(1), Owner::Program), Err(taken));
    }
    assert_eq!(refused(&m, || reserve(&m, page(1), 32)), ReserveError::Taken { page: index(1) });
    assert_eq!(m.finish(), 32);
}

each_format!(
    accesses_to_reserved_pages_do_not_reach_them,
    a_store_to_a_reserved_page_is_recorded_as_one,
    a_scratched_reservation_that_is_freed_leaves_no_mark,
    an_allocation_that_overlaps_a_reservation_fails_as_a_whole,
    an_overlap_far_behind_leaves_no_page_claimed,
    one_free_takes_allocated_and_reserved_pages,
    what_is_before_the_globals_can_be_reserved,
    nothing_can_be_reserved_where_globals_fill_the_arena,
);
