//! Reservation in an arena of two pages: upstream's basic tests. Reserving is one operation for all contexts, so the variants
//! where nothing may wait are the same calls, made from an interrupt.

use kernel_arena::{AllocError, ArenaPtr, Owner, PageCount, PageIndex, ReserveError, SlotState, WINDOW_PAGES};

use super::{
    FIRST, NOTHING, ONE, SECOND, alloc, defer, in_interrupt, index, page, refused, request, reserve, sleepless, state,
    two_pages,
};
use crate::machine::{Format, Machine};

const FIRST_PAGE: PageIndex = PageIndex::containing(FIRST);
const SECOND_PAGE: PageIndex = PageIndex::containing(SECOND);

/// T8.
fn a_reserved_page_is_not_allocated<F: Format>() {
    let m = two_pages::<F>();
    assert_eq!(m.alloc(1), FIRST);
    assert_eq!(reserve(&m, SECOND, 1), Ok(()));
    let taken = AllocError::Taken { page: SECOND_PAGE };
    assert_eq!(refused(&m, || alloc(&m, request(1).exactly_at(SECOND))), taken);
    assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::NoSpace(NOTHING));
    m.finish();
}

/// T9.
fn a_reserved_page_is_not_allocated_where_nothing_may_wait<F: Format>() {
    let m = two_pages::<F>();
    in_interrupt(&m, |m| {
        assert_eq!(alloc(m, sleepless(1)), Ok(FIRST));
        assert_eq!(reserve(m, SECOND, 1), Ok(()));
        let taken = AllocError::Taken { page: SECOND_PAGE };
        assert_eq!(refused(m, || alloc(m, sleepless(1).exactly_at(SECOND))), taken);
        assert_eq!(refused(m, || alloc(m, sleepless(1))), AllocError::NoSpace(NOTHING));
    });
    m.finish();
}

/// T10.
fn the_first_page_can_be_reserved<F: Format>() {
    let m = two_pages::<F>();
    assert_eq!(reserve(&m, FIRST, 1), Ok(()));
    assert_eq!(state(&m, FIRST), SlotState::Reserved(Owner::Program));
    let taken = AllocError::Taken { page: FIRST_PAGE };
    assert_eq!(refused(&m, || alloc(&m, request(1).exactly_at(FIRST))), taken);
    assert_eq!(m.alloc(1), SECOND);
    m.finish();
}

/// T11.
fn the_first_page_can_be_reserved_where_nothing_may_wait<F: Format>() {
    let m = two_pages::<F>();
    in_interrupt(&m, |m| {
        assert_eq!(reserve(m, FIRST, 1), Ok(()));
        let taken = AllocError::Taken { page: FIRST_PAGE };
        assert_eq!(refused(m, || alloc(m, sleepless(1).exactly_at(FIRST))), taken);
    });
    m.finish();
}

/// T12: what is reserved, is not reserved again, by anybody, in whole or in part.
fn pages_are_reserved_once<F: Format>() {
    let m = two_pages::<F>();
    assert_eq!(reserve(&m, FIRST, 1), Ok(()));
    let taken = ReserveError::Taken { page: FIRST_PAGE };
    assert_eq!(refused(&m, || reserve(&m, FIRST, 1)), taken);
    assert_eq!(refused(&m, || reserve(&m, FIRST, 2)), taken);
    assert_eq!(refused(&m, || m.arena().reserve_pages(FIRST, ONE, Owner::Kernel)), taken);
    assert_eq!(reserve(&m, SECOND, 1), Ok(()));
    m.finish();
}

/// T13.
fn pages_are_reserved_once_where_nothing_may_wait<F: Format>() {
    let m = two_pages::<F>();
    in_interrupt(&m, |m| {
        assert_eq!(reserve(m, FIRST, 2), Ok(()));
        for (at, number) in [(FIRST, FIRST_PAGE), (SECOND, SECOND_PAGE)] {
            assert_eq!(refused(m, || reserve(m, at, 1)), ReserveError::Taken { page: number });
        }
        assert_eq!(defer(m, FIRST, 2), Ok(()));
        assert_eq!(reserve(m, FIRST, 2), Ok(()), "a deferred free of reserved pages is over at once");
    });
    m.finish();
}

/// Ranges that leave the extent, each in another way.
fn reserve_what_is_not_there<F: Format>(m: &Machine<F>) {
    let outside = [(ArenaPtr::new(0x1000).unwrap(), 3), (FIRST, 3), (FIRST, 4096), (FIRST, WINDOW_PAGES), (SECOND, 2)];
    for (at, pages) in outside {
        assert_eq!(refused(m, || reserve(m, at, pages)), ReserveError::Outside, "{at:?} {pages}");
    }
    assert_eq!(PageCount::new(u32::MAX), None, "no more pages than a window has can even be asked for");
    assert_eq!(PageCount::new(WINDOW_PAGES + 1), None);
    assert_eq!(PageIndex::new(WINDOW_PAGES), None);
    assert_eq!(refused(m, || m.arena().reserve_pages(FIRST, PageCount::ZERO, Owner::Program)), ReserveError::ZeroPages);
}

/// T14: upstream asks for 3, 4096 and 2^32 - 1 pages; a count beyond the window's pages cannot be expressed here.
fn a_range_that_leaves_the_arena_is_not_reserved<F: Format>() {
    let m = two_pages::<F>();
    reserve_what_is_not_there(&m);
    assert_eq!(m.alloc(2), FIRST, "nothing was");
    m.finish();
    // In the middle of the window a range can leave the extent without leaving the window, at both ends.
    let m = Machine::<F>::builder().extent(600, 10).build();
    for (first, pages) in [(599, 1), (599, 2), (609, 2), (600, 11), (610, 1), (1, 1000)] {
        assert_eq!(refused(&m, || reserve(&m, page(first), pages)), ReserveError::Outside, "{first} {pages}");
    }
    assert_eq!(reserve(&m, page(600), 10), Ok(()));
    assert_eq!(refused(&m, || reserve(&m, page(609), 1)), ReserveError::Taken { page: index(609) });
    m.finish();
}

/// T15.
fn a_range_that_leaves_the_arena_is_not_reserved_where_nothing_may_wait<F: Format>() {
    let m = two_pages::<F>();
    in_interrupt(&m, reserve_what_is_not_there);
    m.finish();
}

/// N13: upstream reports success and reserves nothing.
fn a_misaligned_reservation_is_an_error<F: Format>() {
    let m = two_pages::<F>();
    for offset in [1, 8, 0x800, 0xfff] {
        let at = ArenaPtr::new(FIRST.offset() + offset).unwrap();
        assert_eq!(refused(&m, || reserve(&m, at, 1)), ReserveError::Misaligned);
    }
    assert_eq!(m.alloc(2), FIRST);
    m.finish();
}

each_format!(
    a_reserved_page_is_not_allocated,
    a_reserved_page_is_not_allocated_where_nothing_may_wait,
    the_first_page_can_be_reserved,
    the_first_page_can_be_reserved_where_nothing_may_wait,
    pages_are_reserved_once,
    pages_are_reserved_once_where_nothing_may_wait,
    a_range_that_leaves_the_arena_is_not_reserved,
    a_range_that_leaves_the_arena_is_not_reserved_where_nothing_may_wait,
    a_misaligned_reservation_is_an_error,
);
