//! A reservation that becomes an allocation in one step: upstream has none, its users free first and hope.

use kernel_arena::{AllocError, AllocRequest, Context, Owner, SlotState};

use super::{ONE, alloc, count, defer, free, index, page, picture, refused, request, reserve, sleepless, state};
use crate::machine::{Format, Machine, Point};

fn reserved(state: SlotState) -> bool {
    matches!(state, SlotState::Reserved(Owner::Program) | SlotState::ScratchOverReserved(Owner::Program))
}

/// Any part of it, scratched or not; the rest stays reserved.
fn reserved_pages_are_allocated_in_place<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 8).build();
    assert_eq!(reserve(&m, page(1), 8), Ok(()));
    for number in [2, 3] {
        m.write(1, page(number), 9).unwrap();
    }
    assert!(alloc(&m, request(1)).is_err(), "no other page is free");
    m.take_flushes();
    assert_eq!(alloc(&m, request(3).in_reservation(page(2))), Ok(page(2)));
    assert_eq!(m.take_flushes().len(), 1, "one for all that was scratched");
    for (number, cpu) in [(2, 0), (3, 1), (4, 0)] {
        assert_eq!(m.read(cpu, page(number)), Ok(0));
        m.write(cpu, page(number), number.into()).unwrap();
    }
    assert!([1, 5, 6, 7, 8].into_iter().all(|number| reserved(state(&m, page(number)))));
    // Where nothing may wait, too.
    assert_eq!(alloc(&m, sleepless(2).in_reservation(page(7))), Ok(page(7)));
    // All of it is freed as anything else.
    assert_eq!(free(&m, page(1), 8), Ok(()));
    assert_eq!(m.arena().reclaim().freed_pages, 0);
    assert_eq!(m.arena().stats().claimed_pages, 0);
    m.finish();
}

fn what_is_not_reserved_for_the_caller_is_refused<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 16).build();
    assert_eq!(reserve(&m, page(1), 4), Ok(()));
    assert_eq!(m.arena().reserve_pages(page(5), ONE, Owner::Kernel), Ok(()));
    assert_eq!(alloc(&m, request(1).exactly_at(page(7))), Ok(page(7)));
    let at = |number, pages| refused(&m, || alloc(&m, request(pages).in_reservation(page(number))));
    assert_eq!(at(4, 2), AllocError::NotOwner { page: index(5), owner: Owner::Kernel });
    assert_eq!(at(6, 1), AllocError::NotReserved { page: index(6) });
    assert_eq!(at(7, 1), AllocError::NotReserved { page: index(7) });
    assert_eq!(at(16, 2), AllocError::Outside);
    assert_eq!(at(4, 0), AllocError::ZeroPages);
    m.write(0, page(3), 1).unwrap();
    let error = refused(&m, || alloc(&m, sleepless(4).in_reservation(page(1))));
    assert_eq!(error, AllocError::Tainted { page: index(3) });
    for frames in 0..4 {
        m.fail_frame(Some(frames));
        assert_eq!(at(1, 4), AllocError::OutOfFrames);
    }
    m.fail_frame(None);
    assert_eq!(alloc(&m, request(4).in_reservation(page(1))), Ok(page(1)));
    m.finish();
}

/// Whoever comes in the middle, at any moment, gets none of the pages: they are reserved, then allocated, and never free.
fn nobody_gets_in_between<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 3).build();
        assert_eq!(reserve(&m, page(1), 3), Ok(()));
        m.write(1, page(2), 5).unwrap();
        m.interrupt_at(point, |m| {
            assert!(alloc(m, sleepless(1)).is_err());
            assert!(alloc(m, sleepless(1).exactly_at(page(1))).is_err());
            assert!(reserve(m, page(3), 1).is_err());
            let theirs = AllocRequest::new(count(1), Owner::Kernel).in_context(Context::Any);
            assert!(alloc(m, theirs.in_reservation(page(1))).is_err());
        });
        assert_eq!(alloc(&m, request(3).in_reservation(page(1))), Ok(page(1)));
        let interrupted = m.interrupted();
        m.clear_hooks();
        assert_eq!((m.read(0, page(2)), m.read(1, page(2))), (Ok(0), Ok(0)));
        assert_eq!(free(&m, page(1), 3), Ok(()));
        m.finish();
        if !interrupted {
            assert!(point > 10);
            break;
        }
    }
}

/// The owner's own free or allocation of it comes in the middle: one of the two has each page, and the loser is told.
fn the_owners_own_race_has_one_winner<F: Format>() {
    for (point, others) in (0..60).flat_map(|point| [(point, 0), (point, 1), (point, 2)]) {
        let m = Machine::<F>::builder().extent(1, 4).build();
        assert_eq!(reserve(&m, page(1), 3), Ok(()));
        m.interrupt_at(point, move |m| {
            let _one_or_the_other = match others {
                0 => defer(m, page(2), 1).is_ok(),
                1 => alloc(m, sleepless(1).in_reservation(page(3))).is_ok(),
                _ => alloc(m, sleepless(2).in_reservation(page(2))).is_ok(),
            };
        });
        let ours = alloc(&m, request(3).in_reservation(page(1)));
        m.clear_hooks();
        match ours {
            Ok(_) => assert!((1..=3).all(|n| !reserved(state(&m, page(n))))),
            Err(AllocError::NotReserved { .. }) => assert!(reserved(state(&m, page(1))), "it is reserved as before"),
            Err(error) => panic!("{error}"),
        }
        m.validate();
        m.finish();
    }
}

/// Faults that keep scratching one of the pages: in the end it is given up, and all are reserved, their frames back.
fn in_vain_the_pages_are_reserved_again<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 8).build();
    assert_eq!(reserve(&m, page(1), 6), Ok(()));
    let before = picture(&m);
    m.write(0, page(4), 1).unwrap();
    m.hook(Point::AfterFlush, |m| {
        if state(m, page(4)).is_vacant() {
            m.on_cpu(1, || m.write(1, page(4), 1)).unwrap();
        }
    });
    let error = alloc(&m, request(6).in_reservation(page(1))).expect_err("page 4 is never vacant for long");
    m.clear_hooks();
    assert!(matches!(error, AllocError::Busy(_)), "{error}");
    assert!((1..=6).all(|number| reserved(state(&m, page(number)))));
    assert_eq!((m.frames_in_use(), picture(&m).claimed), (before.frames, before.claimed));
    for number in 1..=6 {
        m.read(1, page(number)).unwrap();
    }
    assert_eq!(alloc(&m, request(6).in_reservation(page(1))), Ok(page(1)));
    for number in 1..=6 {
        assert_eq!(m.read(1, page(number)), Ok(0), "nobody remembers scratch or the first frames");
    }
    m.finish();
}

each_format!(
    reserved_pages_are_allocated_in_place,
    what_is_not_reserved_for_the_caller_is_refused,
    nobody_gets_in_between,
    the_owners_own_race_has_one_winner,
    in_vain_the_pages_are_reserved_again,
);
