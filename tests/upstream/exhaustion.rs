//! The frame source fails, at any call: an error with a reason, no trace, no leak.

use kernel_arena::{AllocError, AllocRequest};

use super::{alloc, defer, free, page, picture, refused, request, reserve, sleepless, states};
use crate::machine::{Format, Machine, TlbMode};

const PAGES: u32 = 40;

/// An arena in which everything that a page can be is found, beside room for 40 pages from page 20 on.
fn used<F: Format>() -> Machine<F> {
    let m = Machine::<F>::builder().extent(1, 80).build();
    assert_eq!(m.alloc(10), page(1));
    m.free(page(4), 1);
    m.write(1, page(6), 66).unwrap();
    assert_eq!(defer(&m, page(8), 1), Ok(()));
    assert_eq!(reserve(&m, page(11), 3), Ok(()));
    m.write(0, page(12), 1).unwrap();
    m.write(0, page(14), 1).unwrap();
    m
}

/// What is asked for in different ways; two need pages that hold scratch.
fn requests() -> [(AllocRequest, bool); 4] {
    let run = request(PAGES);
    let exactly = run.exactly_at(page(20));
    [(run, false), (sleepless(PAGES), false), (exactly, false), (exactly, true)]
}

/// Upstream leaves a hole in its address space, or pages, when a small allocation fails half-way.
fn an_allocation_that_runs_out_at_any_frame_leaves_no_trace<F: Format>() {
    for (request, scratched) in requests() {
        let m = used::<F>();
        if scratched {
            m.write(1, page(30), 1).unwrap();
        }
        m.take_flushes();
        for n in 0..PAGES {
            m.fail_frame(Some(n));
            let asked = m.frame_calls();
            assert_eq!(refused(&m, || alloc(&m, request)), AllocError::OutOfFrames, "at frame {n}");
            assert_eq!(m.frame_calls(), asked + n + 1, "it goes on asking");
        }
        assert_eq!(m.take_flushes(), [], "frames come before anything else");
        m.fail_frame(None);
        assert_eq!(m.read(0, page(6)), Ok(66));
        let got = alloc(&m, request).unwrap();
        assert!((0..PAGES).all(|n| m.read(1, super::after(got, n)) == Ok(0)));
        m.finish();
    }
}

/// The same where the source is empty before its end, and for good.
fn an_allocation_in_an_empty_machine_leaves_no_trace<F: Format>() {
    let m = used::<F>();
    let in_use = m.frames_in_use();
    for frames in 0..40 {
        m.limit_frames(in_use + frames);
        assert_eq!(refused(&m, || alloc(&m, request(40))), AllocError::OutOfFrames);
    }
    m.limit_frames(in_use + 40);
    assert!(alloc(&m, request(40)).is_ok());
    assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::OutOfFrames);
    m.finish();
}

/// Pages that were had before memory ran out can be used, freed and had again.
fn what_is_there_goes_on_working_without_frames<F: Format>() {
    for freed in [free::<F>, defer::<F>] {
        let m = used::<F>();
        m.limit_frames(m.frames_in_use());
        m.write(0, page(1), 5).unwrap();
        m.write(1, page(70), 6).unwrap();
        assert_eq!([m.read(1, page(1)), m.read(0, page(70))], [Ok(5), Ok(6)]);
        assert_eq!(freed(&m, page(1), 3), Ok(()));
        m.arena().reclaim();
        assert_eq!(alloc(&m, request(4).exactly_at(page(1))), Ok(page(1)), "page 8's frame is back, too");
        assert_eq!(refused(&m, || alloc(&m, request(1))), AllocError::OutOfFrames);
        m.finish();
    }
}

/// An interrupt that allocates while an allocation runs out of frames gets its own, or an error, and so does the other.
fn frames_that_run_out_under_two_allocations_are_not_lost<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 8).tlb(TlbMode::Lazy).build();
        let tables = m.frames_in_use();
        m.limit_frames(tables + 4);
        m.interrupt_at(point, |m| {
            let got = alloc(m, sleepless(2));
            assert!(got.is_ok() || got == Err(AllocError::OutOfFrames), "{got:?}");
        });
        let got = alloc(&m, request(3));
        assert!(got.is_ok() || got == Err(AllocError::OutOfFrames), "{got:?}");
        let interrupted = m.interrupted();
        m.clear_hooks();
        let mapped = states(&m).iter().filter(|state| !state.is_vacant()).count();
        assert_eq!(m.frames_in_use(), tables + mapped, "interrupted at {point}");
        assert_eq!(picture(&m).claimed as usize, mapped);
        m.finish();
        if !interrupted {
            break;
        }
    }
}

each_format!(
    an_allocation_that_runs_out_at_any_frame_leaves_no_trace,
    an_allocation_in_an_empty_machine_leaves_no_trace,
    what_is_there_goes_on_working_without_frames,
    frames_that_run_out_under_two_allocations_are_not_lost,
);
