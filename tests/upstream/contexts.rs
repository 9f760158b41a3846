//! Where nothing may wait: what may be called there, at any moment of anything else, and what it does not need.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::{AllocError, FreeError};

use super::{alloc, defer, free, index, page, refused, request, reserve, sleepless, state};
use crate::machine::{Format, Machine};

/// Something of everything, on CPU 0.
fn story<F: Format>(m: &Machine<F>) {
    let pages = m.alloc(3);
    m.write(0, pages, 1).unwrap();
    assert_eq!(reserve(m, page(10), 1), Ok(()));
    m.free(pages, 3);
    m.write(0, pages, 2).unwrap();
    m.write(0, page(10), 3).unwrap();
    m.free(page(10), 1);
    m.arena().reclaim();
    assert_eq!(alloc(m, request(1).exactly_at(page(11))), Ok(page(11)));
    assert_eq!(defer(m, page(11), 1), Ok(()));
    m.arena().reclaim();
}

/// T19: upstream while a lock is held; here in an interrupt at every point of every operation. No lock, no shootdown.
fn reserve_free_alloc_and_free_work_in_the_middle_of_everything<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 16).build();
        m.interrupt_at(point, |m| {
            m.take_flushes();
            let other = page(16);
            assert_eq!(reserve(m, other, 1), Ok(()));
            assert_eq!(defer(m, other, 1), Ok(()));
            let mine = alloc(m, sleepless(1)).unwrap();
            m.write(0, mine, 77).unwrap();
            assert_eq!(m.read(1, mine), Ok(77));
            assert_eq!(defer(m, mine, 1), Ok(()));
            assert_eq!(m.take_flushes(), [], "nothing waits");
        });
        story(&m);
        let interrupted = m.interrupted();
        m.clear_hooks();
        m.arena().reclaim();
        assert_eq!(m.arena().stats().claimed_pages, 0, "interrupted at {point}");
        assert_eq!(m.finish(), 0);
        if !interrupted {
            assert!(point > 40, "the story has {point} points");
            break;
        }
    }
}

/// N5: upstream's deferred free allocates, and loses the pages if it cannot.
fn a_deferred_free_needs_no_memory<F: Format>() {
    let m = Machine::<F>::builder().build();
    let tables = m.frames_in_use();
    assert_eq!(m.alloc(40), page(1));
    assert_eq!(reserve(&m, page(41), 8), Ok(()));
    m.limit_frames(0);
    assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::OutOfFrames, "there are none");
    let asked = m.frame_calls();
    for first in [1, 9, 30, 2] {
        assert_eq!(defer(&m, page(first), 1), Ok(()));
    }
    assert_eq!(defer(&m, page(3), 6), Ok(()));
    assert_eq!(defer(&m, page(10), 20), Ok(()));
    assert_eq!(defer(&m, page(31), 18), Ok(()));
    assert_eq!(m.frames_in_use(), tables + 40);
    let done = m.arena().reclaim();
    assert_eq!((done.freed_pages, m.frames_in_use()), (40, tables));
    assert_eq!(m.frame_calls(), asked, "a frame was asked for");
    assert_eq!(m.arena().stats().claimed_pages, 0, "what was reserved is free, too");
    m.limit_frames(tables + 64);
    assert_eq!(m.alloc(64), page(1), "every page can be had again");
    m.finish();
}

/// N5, with failures at every single call instead of all: none is made.
fn a_deferred_free_asks_for_no_frame_at_any_call<F: Format>() {
    for n in 0..4 {
        let m = Machine::<F>::builder().build();
        let tables = m.frames_in_use();
        m.alloc(10);
        m.fail_frame(Some(n));
        assert_eq!(defer(&m, page(1), 10), Ok(()));
        assert_eq!(m.arena().reclaim().freed_pages, 10);
        assert_eq!(m.frames_in_use(), tables);
        m.fail_frame(None);
        m.finish();
    }
}

/// N4: upstream does not look again at what is queued when it comes to free it.
fn a_queued_page_is_freed_once_and_its_next_owner_keeps_it<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 2).build();
    assert_eq!(m.alloc(2), page(1));
    assert_eq!(defer(&m, page(1), 1), Ok(()));
    let not_allocated = FreeError::NotAllocated { page: index(1) };
    assert_eq!(refused(&m, || free(&m, page(1), 1)), not_allocated);
    assert_eq!(refused(&m, || defer(&m, page(1), 2)), not_allocated);
    let taken = AllocError::Taken { page: index(1) };
    assert_eq!(refused(&m, || alloc(&m, request(1).exactly_at(page(1)))), taken);
    assert_eq!(m.arena().reclaim().freed_pages, 1);
    assert_eq!(m.alloc(1), page(1));
    m.write(0, page(1), 5).unwrap();
    assert_eq!(m.arena().reclaim().freed_pages, 0);
    assert_eq!(m.read(1, page(1)), Ok(5));
    assert_eq!(m.finish(), 2);
}

/// N4: the same when the second free and the next owner come while `reclaim` is at it.
fn a_page_that_is_being_reclaimed_is_freed_once<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 1).build();
        m.alloc(1);
        assert_eq!(defer(&m, page(1), 1), Ok(()));
        let next = Rc::new(Cell::new(false));
        let taken = Rc::clone(&next);
        m.interrupt_at(point, move |m| {
            m.on_cpu(1, || {
                let not_allocated = FreeError::NotAllocated { page: index(1) };
                assert_eq!(free(m, page(1), 1), Err(not_allocated));
                taken.set(alloc(m, sleepless(1)).is_ok());
            });
        });
        let freed = m.arena().reclaim().freed_pages;
        let interrupted = m.interrupted();
        m.clear_hooks();
        assert_eq!(freed, 1);
        assert_eq!(next.get(), !state(&m, page(1)).is_vacant(), "interrupted at {point}");
        assert_eq!(m.finish(), u32::from(next.get()));
        if !interrupted {
            break;
        }
    }
}

each_format!(
    reserve_free_alloc_and_free_work_in_the_middle_of_everything,
    a_deferred_free_needs_no_memory,
    a_deferred_free_asks_for_no_frame_at_any_call,
    a_queued_page_is_freed_once_and_its_next_owner_keeps_it,
    a_page_that_is_being_reclaimed_is_freed_once,
);
