//! What a wild access to a page that was freed costs.

use kernel_arena::{PageIndex, SlotState};

use super::{alloc, defer, page, request, reserve, state};
use crate::machine::{Format, Machine};

/// A wild access to each page of 1 to 70: how many shootdowns that took.
fn flushes_of_wild_accesses<F: Format>(m: &Machine<F>) -> usize {
    m.take_flushes();
    for number in 1..=70 {
        m.read(1, page(number)).unwrap();
    }
    m.take_flushes().len()
}

/// Where break-before-make is demanded, a fault on a page that was freed flushes it, until housekeeping knows that nothing of
/// it is remembered; elsewhere it never does.
fn a_fault_on_a_page_freed_long_ago_flushes_nothing<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 80).build();
    let each = if F::BREAK_BEFORE_MAKE { 70 } else { 0 };
    for round in 0..2 {
        m.free(m.alloc(70), 70);
        assert_eq!(flushes_of_wild_accesses(&m), each, "round {round}, freed just now");
        m.arena().reclaim();
        m.free(m.alloc(70), 70);
        m.arena().reclaim();
        assert!((1..=70).all(|number| state(&m, page(number)) == SlotState::Vacant || !F::BREAK_BEFORE_MAKE));
        assert_eq!(flushes_of_wild_accesses(&m), 0, "round {round}, settled");
        m.arena().reclaim();
        // Those that reclaim itself has freed.
        let queued = m.alloc(70);
        assert_eq!(defer(&m, queued, 70), Ok(()));
        m.arena().reclaim();
        assert_eq!(flushes_of_wild_accesses(&m), 0, "round {round}, freed by reclaim");
        m.arena().reclaim();
    }
    m.finish();
}

/// A free that has not come to its flush is not settled, whoever reclaims meanwhile, nor is anybody's way to a page blocked.
fn what_is_being_freed_is_not_settled<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 8).build();
    m.free(m.alloc(8), 8);
    let at = m.alloc(4);
    m.write(1, at, 7).unwrap();
    m.hook(crate::machine::Point::BeforeFlush, move |m| {
        m.arena().reclaim();
        let vacated = matches!(state(m, at), SlotState::Vacated(_));
        assert!(vacated, "settled before its flush: {:?}", state(m, at));
        assert!(alloc(m, request(1).exactly_at(page(8))).is_ok(), "another page is free as ever");
        m.free(page(8), 1);
    });
    m.free(at, 4);
    m.clear_hooks();
    m.arena().reclaim();
    assert_eq!(m.arena().stats().claimed_pages, 0);
    m.finish();
}

/// Allocations and reservations that come at any moment of it find a page that is free.
fn a_page_that_is_being_settled_is_free<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 2).build();
        m.free(m.alloc(2), 2);
        m.interrupt_at(point, |m| {
            assert_eq!(alloc(m, request(1).exactly_at(page(1))), Ok(page(1)));
            assert_eq!(reserve(m, page(2), 1), Ok(()));
        });
        m.arena().reclaim();
        if !m.interrupted() {
            break;
        }
        assert_eq!(m.arena().stats().claimed_pages, 2);
        assert!(matches!(m.arena().page_state(PageIndex::new(1).unwrap()), Some(SlotState::Mapped(..))));
        m.free(page(1), 1);
        m.free(page(2), 1);
        m.finish();
    }
}

each_format!(
    a_fault_on_a_page_freed_long_ago_flushes_nothing,
    what_is_being_freed_is_not_settled,
    a_page_that_is_being_settled_is_free,
);
