//! `Busy`: what another operation holds at this moment, told apart from what is taken for good (I9). Upstream gives up when it
//! cannot get its lock, and says the same as when there is no memory.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::{AllocError, Owner, Reclaimable, ReserveError, SlotState};

use super::{NOTHING, alloc, defer, index, page, request, reserve, sleepless, state, states};
use crate::machine::{Format, Machine, Point, TlbMode, count};

/// Runs `look` in the middle of a free of page 2, whose number is taken and whose slot is nobody's.
fn while_page_2_is_freed<F: Format>(m: &Machine<F>, look: impl Fn(&Machine<F>) + 'static) {
    let times = Rc::new(Cell::new(0));
    let counted = Rc::clone(&times);
    m.hook(Point::BeforeFlush, move |m| {
        counted.set(counted.get() + 1);
        m.on_cpu(1, || look(m));
    });
    m.free(page(2), 1);
    m.clear_hooks();
    assert_eq!(times.get(), 1);
}

/// Only what a page in passing stands in the way of is busy: the same request when it has passed is granted.
fn only_what_a_passing_page_prevents_is_busy<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 4).build();
    assert_eq!(m.alloc(4), page(1));
    m.free(page(3), 1);
    while_page_2_is_freed(&m, |m| {
        for request in [request, sleepless] {
            assert_eq!(alloc(m, request(2)), Err(AllocError::Busy(NOTHING)));
            assert_eq!(alloc(m, request(3)), Err(AllocError::NoSpace(NOTHING)), "page 4 is taken for good");
            assert_eq!(alloc(m, request(1).exactly_at(page(2))), Err(AllocError::Busy(NOTHING)));
            assert_eq!(alloc(m, request(2).exactly_at(page(2))), Err(AllocError::Busy(NOTHING)));
            assert_eq!(alloc(m, request(1).exactly_at(page(1))), Err(AllocError::Taken { page: index(1) }));
        }
        assert_eq!(reserve(m, page(2), 1), Err(ReserveError::Busy { page: index(2) }));
        assert_eq!(reserve(m, page(2), 2), Err(ReserveError::Busy { page: index(2) }));
        assert_eq!(reserve(m, page(1), 2), Err(ReserveError::Taken { page: index(1) }));
    });
    assert_eq!(m.alloc(2), page(2));
    m.finish();
}

/// A page in passing that was touched meanwhile holds scratch; it is in passing all the same.
fn a_passing_page_that_was_touched_is_busy<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 2).tlb(TlbMode::Lazy).build();
    assert_eq!(m.alloc(2), page(1));
    while_page_2_is_freed(&m, |m| {
        m.write(1, page(2), 1).unwrap();
        assert_eq!(state(m, page(2)), SlotState::Scratch);
        assert_eq!(alloc(m, request(1)), Err(AllocError::Busy(NOTHING)));
        assert_eq!(alloc(m, request(1).exactly_at(page(2))), Err(AllocError::Busy(NOTHING)));
        assert_eq!(reserve(m, page(2), 1), Err(ReserveError::Busy { page: index(2) }));
    });
    let tainted = Reclaimable { deferred: 0, tainted: 1, foreign: None };
    assert_eq!(alloc(&m, sleepless(1)), Err(AllocError::NoSpace(tainted)), "it has passed, and holds scratch");
    assert_eq!(m.alloc(1), page(2));
    m.finish();
}

/// Both figures are named when an allocation is busy.
fn busy_names_what_waits_for_reclaim<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 8).build();
    assert_eq!(m.alloc(8), page(1));
    assert_eq!(defer(&m, page(5), 2), Ok(()));
    m.free(page(8), 1);
    m.write(0, page(8), 1).unwrap();
    let waiting = Reclaimable { deferred: 2, tainted: 1, foreign: None };
    while_page_2_is_freed(&m, move |m| {
        assert_eq!(alloc(m, request(1).exactly_at(page(2))), Err(AllocError::Busy(waiting)));
        assert_eq!(alloc(m, request(2)), Err(AllocError::NoSpace(waiting)));
    });
    m.finish();
}

/// Where a page that holds scratch is in the way as well, trying again helps only who may have it healed.
fn what_scratch_prevents_too_is_busy_only_for_who_may_wait<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 2).build();
    assert_eq!(m.alloc(2), page(1));
    m.free(page(1), 1);
    m.write(0, page(1), 1).unwrap();
    while_page_2_is_freed(&m, |m| {
        let waiting = Reclaimable { deferred: 0, tainted: 1, foreign: None };
        assert_eq!(alloc(m, request(2)), Err(AllocError::Busy(waiting)));
        assert_eq!(alloc(m, sleepless(2)), Err(AllocError::NoSpace(waiting)));
        assert_eq!(alloc(m, sleepless(1)), Err(AllocError::Busy(waiting)));
    });
    assert_eq!(m.alloc(2), page(1));
    m.finish();
}

/// On its way into the queue of deferred frees, when its slot says so and its bit is not set, a page is busy: `reclaim` would not
/// bring it back now. Nothing that a test can interrupt lies between the two, so the slot is written by hand.
fn a_page_on_its_way_into_the_queue_is_busy<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 3).build();
    m.alloc(3);
    let (mapped, last) = (m.slot_word(page(1)), m.slot_word(page(3)));
    assert_eq!(defer(&m, page(3), 1), Ok(()));
    m.scribble(page(1), mapped ^ last ^ m.slot_word(page(3)));
    assert!(matches!(m.arena().page_state(index(1)), Some(SlotState::Deferred(..))));
    let asked = || alloc(&m, sleepless(1).exactly_at(page(1)));
    assert!(matches!(asked(), Err(AllocError::Busy(_))), "{:?}", asked());
    assert_eq!(reserve(&m, page(1), 1), Err(ReserveError::Busy { page: index(1) }));
    m.scribble(page(1), mapped);
    assert_eq!(asked(), Err(AllocError::Taken { page: index(1) }));
    m.finish();
}

/// And so it is on its way out.
fn a_page_on_its_way_out_of_the_queue_is_busy<F: Format>() {
    let mut busy = 0;
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 3).build();
        m.alloc(3);
        assert_eq!(defer(&m, page(1), 3), Ok(()));
        let seen = Rc::new(Cell::new(None));
        let told = Rc::clone(&seen);
        m.interrupt_at(point, move |m| told.set(Some(alloc(m, sleepless(1).exactly_at(page(1))))));
        m.arena().reclaim();
        m.clear_hooks();
        match seen.get() {
            Some(Err(AllocError::Busy(_))) => busy += 1,
            Some(Err(AllocError::Taken { page })) => assert_eq!(page, index(1)),
            Some(Ok(at)) => assert_eq!(at, page(1), "reclaim was done with it"),
            Some(other) => panic!("{other:?} at {point}"),
            None => break,
        }
        m.finish();
    }
    assert!(busy > 0);
}

/// A page that an allocation has claimed and not installed yet is busy for the others; the next moment it is taken.
fn a_page_that_is_being_allocated_is_busy_and_then_taken<F: Format>() {
    let (mut busy, mut taken) = (0, 0);
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 1).build();
        let seen = Rc::new(Cell::new(None));
        let told = Rc::clone(&seen);
        m.interrupt_at(point, move |m| told.set(Some((alloc(m, sleepless(1)), reserve(m, page(1), 1)))));
        let got = alloc(&m, request(1));
        let Some(during) = seen.get() else {
            assert_eq!(got, Ok(page(1)));
            m.finish();
            break;
        };
        match during {
            (Err(AllocError::Busy(NOTHING)), Err(ReserveError::Busy { .. })) => busy += 1,
            (Err(AllocError::NoSpace(NOTHING)), Err(ReserveError::Taken { .. })) => taken += 1,
            (Ok(_), Err(ReserveError::Taken { .. })) => {
                assert_eq!(got, Err(AllocError::NoSpace(NOTHING)), "the other was first");
            }
            other => panic!("{other:?} at {point}"),
        }
        assert!(got.is_ok() != during.0.is_ok());
        assert_eq!(m.finish(), 1);
    }
    assert!(busy > 0, "{taken}");
}

/// Faults that put scratch back as often as an allocation takes it away make it give up in the end: busy, and nothing is lost.
fn an_allocation_that_faults_keep_scratching_gives_up_without_a_trace<F: Format>() {
    for pages in [1, 2, 3] {
        let m = Machine::<F>::builder().extent(1, 3).build();
        let tables = m.frames_in_use();
        let last = page(pages);
        m.write(1, last, 1).unwrap();
        m.hook(Point::AfterFlush, move |m| m.on_cpu(1, || m.write(1, last, 1).unwrap()));
        let error = alloc(&m, request(pages).exactly_at(page(1))).unwrap_err();
        m.clear_hooks();
        let deferred = m.arena().stats().deferred_pages;
        let waiting = Reclaimable { deferred, tainted: 1, foreign: None };
        assert_eq!(error, AllocError::Busy(waiting));
        assert_eq!(deferred, pages - 1);
        assert_eq!(m.frames_in_use(), tables + (pages - 1) as usize, "other frames went back at once");
        m.validate();
        let done = m.arena().reclaim();
        assert_eq!((done.freed_pages, done.healed_pages), (pages - 1, 1));
        assert!(states(&m).iter().all(|state| state.is_vacant()));
        assert_eq!(alloc(&m, request(3)), Ok(page(1)));
        m.finish();
    }
}

/// Where nothing may wait, a page that was just scratched is left alone, and another taken.
fn an_allocation_that_may_not_wait_takes_another_page_than_the_one_just_scratched<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 4).build();
        m.interrupt_at(point, |m| m.write(0, page(1), 1).unwrap());
        m.take_flushes();
        let got = alloc(&m, sleepless(1)).unwrap();
        assert_eq!(m.take_flushes(), []);
        assert_eq!(m.arena().stats().violations == 0, got == page(1), "interrupted at {point}");
        assert_eq!(m.arena().free_pages(got, count(1), Owner::Program), Ok(()));
        let interrupted = m.interrupted();
        m.clear_hooks();
        m.arena().reclaim();
        assert_eq!(m.arena().stats().claimed_pages, 0);
        assert_eq!(m.finish(), 0);
        if !interrupted {
            break;
        }
    }
}

each_format!(
    only_what_a_passing_page_prevents_is_busy,
    a_passing_page_that_was_touched_is_busy,
    busy_names_what_waits_for_reclaim,
    what_scratch_prevents_too_is_busy_only_for_who_may_wait,
    a_page_on_its_way_into_the_queue_is_busy,
    a_page_on_its_way_out_of_the_queue_is_busy,
    a_page_that_is_being_allocated_is_busy_and_then_taken,
    an_allocation_that_faults_keep_scratching_gives_up_without_a_trace,
    an_allocation_that_may_not_wait_takes_another_page_than_the_one_just_scratched,
);

/// A page on its way out of the queue of deferred frees is in somebody's hands for a reservation, too, as for an allocation.
fn a_reservation_agrees_with_an_allocation_about_a_page_in_passing<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 3).build();
        m.alloc(3);
        assert_eq!(defer(&m, page(1), 3), Ok(()));
        let seen = Rc::new(Cell::new(None));
        let told = Rc::clone(&seen);
        m.interrupt_at(point, move |m| {
            told.set(Some((alloc(m, sleepless(1).exactly_at(page(1))), reserve(m, page(1), 1))));
        });
        m.arena().reclaim();
        m.clear_hooks();
        match seen.get() {
            Some((Err(AllocError::Busy(_)), reserved)) => {
                assert_eq!(reserved, Err(ReserveError::Busy { page: index(1) }), "interrupted at {point}");
            }
            Some(_) => {}
            None => break,
        }
        m.finish();
    }
}

each_format!(a_reservation_agrees_with_an_allocation_about_a_page_in_passing);

/// A CPU that another was faster than goes on from a place of its own, here the middle; below it when there is no room above.
fn who_met_another_looks_from_a_place_of_its_own<F: Format>() {
    let mut met = 0;
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 64).build();
        m.interrupt_at(point, |m| _ = m.on_cpu(0, || m.alloc(4)));
        let ours = m.on_cpu(1, || m.alloc(4));
        if !m.interrupted() {
            break;
        }
        let next = m.on_cpu(1, || m.alloc(4));
        if ours == page(33) {
            met += 1;
            assert_eq!(next, page(37), "it stays there, interrupted at {point}");
            assert_eq!(m.on_cpu(1, || m.alloc(24)), page(41), "up to the end");
            assert_eq!(m.on_cpu(1, || m.alloc(4)), page(5), "and then below");
            assert_eq!(m.on_cpu(1, || m.alloc(4)), page(9), "and so from then on");
        } else {
            assert_eq!(next, page(9), "interrupted at {point}");
        }
        assert_eq!(m.on_cpu(0, || m.alloc(1)), page(13), "the other has stayed");
        m.finish();
    }
    assert!(met > 0, "between the look and the claim");
}
each_format!(who_met_another_looks_from_a_place_of_its_own);

/// Once there was no room above its own place, by one page or by several, it takes the lowest as before.
fn who_found_no_room_above_its_own_place_is_back_at_the_lowest<F: Format>() {
    for count in [1, 4] {
        let mut met = 0;
        for point in 0.. {
            let m = Machine::<F>::builder().extent(1, 64).build();
            m.interrupt_at(point, |m| _ = m.on_cpu(0, || m.alloc(4)));
            let ours = m.on_cpu(1, || m.alloc(4));
            if !m.interrupted() {
                break;
            }
            if ours == page(33) {
                met += 1;
                m.on_cpu(1, || {
                    assert_eq!(m.alloc(28), page(37), "up to the end");
                    assert_eq!(m.alloc(count), page(5), "below, for there is no room");
                    m.free(page(37), 28);
                    m.arena().reclaim();
                    assert_eq!(m.alloc(count), page(5 + count), "there is room, interrupted at {point}");
                });
            }
            m.finish();
        }
        assert!(met > 0, "between the look and the claim");
    }
}
each_format!(who_found_no_room_above_its_own_place_is_back_at_the_lowest);
