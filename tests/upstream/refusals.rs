//! Every reason for which an operation at rest is refused, where upstream has one null pointer or one number for all (I9).
//! Reasons that need two operations at once are in [`busy`](super::busy) and [`invalid_free`](super::invalid_free).

use kernel_arena::{
    AllocError, AllocRequest, ArenaPtr, Context, FreeError, Owner, PageCount, Reclaimable, ReserveError,
};

use super::{NOTHING, alloc, defer, free, index, page, refused, request, reserve, sleepless};
use crate::machine::{Format, Machine, count};

const fn waiting(deferred: u32, tainted: u32) -> Reclaimable {
    Reclaimable { deferred, tainted, foreign: None }
}

fn each_malformed_allocation_is_refused_by_name<F: Format>() {
    let m = Machine::<F>::builder().extent(10, 20).build();
    let refusals = [
        (request(0), AllocError::ZeroPages),
        (request(0).exactly_at(page(10)), AllocError::ZeroPages),
        (request(1).aligned(PageCount::ZERO), AllocError::BadAlignment),
        (request(1).aligned(count(3)), AllocError::BadAlignment),
        (request(1).aligned(count(12)), AllocError::BadAlignment),
        (request(1).exactly_at(ArenaPtr::new(0xa001).unwrap()), AllocError::Misaligned),
        (request(1).exactly_at(ArenaPtr::new(0xafff).unwrap()), AllocError::Misaligned),
        (request(21), AllocError::Outside),
        (request(1).exactly_at(page(9)), AllocError::Outside),
        (request(1).exactly_at(page(30)), AllocError::Outside),
        (request(2).exactly_at(page(29)), AllocError::Outside),
        (request(1).exactly_at(page(1)), AllocError::Outside),
    ];
    for (request, error) in refusals {
        let asked = m.frame_calls();
        assert_eq!(refused(&m, || alloc(&m, request)), error, "{request:?}");
        assert_eq!(refused(&m, || alloc(&m, request.in_context(Context::Any))), error);
        assert_eq!(m.frame_calls(), asked, "refused before frames are taken");
    }
    assert_eq!(m.arena().stats().violations, 0, "nobody came to harm");
    m.finish();
}

/// An alignment that the extent has, but not free.
fn no_aligned_run_is_no_space<F: Format>() {
    let m = Machine::<F>::builder().extent(10, 20).build();
    assert_eq!(alloc(&m, request(2).aligned(count(16))), Ok(page(16)));
    assert_eq!(refused(&m, || alloc(&m, request(1).aligned(count(16)))), AllocError::NoSpace(NOTHING));
    assert_eq!(alloc(&m, request(1).aligned(count(8))), Ok(page(24)));
    // Of this alignment there is no page at all: nothing that is freed helps.
    assert_eq!(refused(&m, || alloc(&m, request(1).aligned(count(1 << 20)))), AllocError::Outside);
    m.finish();
}

/// What each state of a page answers to an allocation that names it.
fn a_page_says_why_it_is_not_to_be_had<F: Format>() {
    let m = Machine::<F>::builder().build();
    assert_eq!(m.alloc(2), page(1));
    assert_eq!(reserve(&m, page(3), 2), Ok(()));
    assert_eq!(defer(&m, page(2), 1), Ok(()));
    m.write(0, page(4), 1).unwrap();
    m.write(0, page(5), 1).unwrap();
    for number in 1..=4 {
        let taken = AllocError::Taken { page: index(number) };
        let named = |pages: u32| request(pages).exactly_at(page(number));
        assert_eq!(refused(&m, || alloc(&m, named(1))), taken);
        assert_eq!(refused(&m, || alloc(&m, named(2))), taken, "the first that is taken");
        let any = named(1).in_context(Context::Any);
        assert_eq!(refused(&m, || alloc(&m, any)), taken);
        assert_eq!(refused(&m, || reserve(&m, page(number), 1)), ReserveError::Taken { page: index(number) });
    }
    let tainted = AllocError::Tainted { page: index(5) };
    assert_eq!(refused(&m, || alloc(&m, sleepless(1).exactly_at(page(5)))), tainted);
    assert_eq!(refused(&m, || alloc(&m, sleepless(3).exactly_at(page(5)))), tainted);
    assert_eq!(alloc(&m, request(1).exactly_at(page(5))), Ok(page(5)), "but who may wait gets it");
    m.finish();
}

/// `NoSpace` counts what `reclaim` would bring back, and `reclaim` brings back just that.
fn no_space_says_what_reclaim_would_bring_back<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 8).build();
    assert_eq!(m.alloc(8), page(1));
    assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::NoSpace(NOTHING));
    m.free(page(2), 1);
    m.write(0, page(2), 1).unwrap();
    assert_eq!(refused(&m, || alloc(&m, sleepless(1))), AllocError::NoSpace(waiting(0, 1)));
    assert_eq!(refused(&m, || alloc(&m, request(2))), AllocError::NoSpace(waiting(0, 1)), "it is only one");
    assert_eq!(defer(&m, page(3), 3), Ok(()));
    assert_eq!(refused(&m, || alloc(&m, sleepless(1))), AllocError::NoSpace(waiting(3, 1)));
    assert_eq!(refused(&m, || alloc(&m, request(4))), AllocError::NoSpace(waiting(3, 1)));
    let done = m.arena().reclaim();
    assert_eq!((done.freed_pages, done.healed_pages), (3, 1));
    assert_eq!(refused(&m, || alloc(&m, request(5))), AllocError::NoSpace(NOTHING));
    assert_eq!(alloc(&m, sleepless(4)), Ok(page(2)));
    m.finish();
}

/// Scratch outside the extent, or on a page that is taken, is not an allocation's to hope for.
fn no_space_counts_only_pages_that_would_be_free<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 4).build();
    assert_eq!(m.alloc(3), page(1));
    assert_eq!(reserve(&m, page(4), 1), Ok(()));
    for wild in [page(4), page(5), page(1000), ArenaPtr::new(8).unwrap()] {
        m.write(1, wild, 1).unwrap();
    }
    m.cpu(1).read_u8(super::guard(&m)).unwrap();
    assert_eq!(refused(&m, || alloc(&m, sleepless(1))), AllocError::NoSpace(NOTHING));
    m.finish();
}

/// Pages that hold scratch are the last to be taken, and only by who may wait.
fn pages_that_hold_scratch_are_taken_last<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 4).build();
    m.write(0, page(1), 1).unwrap();
    m.write(0, page(3), 1).unwrap();
    assert_eq!([alloc(&m, request(1)), alloc(&m, sleepless(1))], [Ok(page(2)), Ok(page(4))]);
    assert_eq!(refused(&m, || alloc(&m, sleepless(1))), AllocError::NoSpace(waiting(0, 2)));
    m.take_flushes();
    assert_eq!([m.alloc(1), m.alloc(1)], [page(1), page(3)]);
    assert_eq!(m.take_flushes().len(), 2);
    m.finish();
}

fn each_malformed_free_and_reservation_is_refused_by_name<F: Format>() {
    let m = Machine::<F>::builder().extent(10, 20).build();
    assert!(m.arena().alloc_pages(AllocRequest::new(count(1), Owner::Kernel)).is_ok());
    let frees = [
        (page(10), 0, FreeError::ZeroPages),
        (ArenaPtr::new(0xa008).unwrap(), 1, FreeError::Misaligned),
        (page(9), 1, FreeError::Outside),
        (page(10), 1, FreeError::NotOwner { page: index(10), owner: Owner::Kernel }),
        (page(11), 1, FreeError::NotAllocated { page: index(11) }),
    ];
    for (at, pages, error) in frees {
        assert_eq!(refused(&m, || free(&m, at, pages)), error);
        assert_eq!(refused(&m, || defer(&m, at, pages)), error);
    }
    let reservations = [
        (page(11), 0, ReserveError::ZeroPages),
        (ArenaPtr::new(0xb008).unwrap(), 1, ReserveError::Misaligned),
        (page(30), 1, ReserveError::Outside),
        (page(10), 2, ReserveError::Taken { page: index(10) }),
    ];
    for (at, pages, error) in reservations {
        assert_eq!(refused(&m, || reserve(&m, at, pages)), error);
    }
    m.finish();
}

each_format!(
    each_malformed_allocation_is_refused_by_name,
    no_aligned_run_is_no_space,
    a_page_says_why_it_is_not_to_be_had,
    no_space_says_what_reclaim_would_bring_back,
    no_space_counts_only_pages_that_would_be_free,
    pages_that_hold_scratch_are_taken_last,
    each_malformed_free_and_reservation_is_refused_by_name,
);
