//! What becomes of a program's fault where nothing else goes on.

use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal};
use kernel_arena::{Context, Owner, SlotState};

use super::{attached, fault, page, refused, seen, state};
use crate::machine::{Cause, Format, Kind, Machine};

fn a_lazy_view_gives_a_zeroed_page_that_is_the_programs_own<F: Format>() {
    for kind in [Kind::Read, Kind::Write] {
        let m = Machine::<F>::builder().build();
        let view = attached(&m, FaultPolicy::Lazy);
        let frames = m.frames_in_use();
        m.take_flushes();
        assert_eq!(fault(&m, &view, page(7), kind), ProgramFaultOutcome::PageGiven);
        assert!(matches!(state(&m, page(7)), SlotState::Mapped(_, Owner::Program)));
        assert_eq!(m.frames_in_use(), frames + 1);
        for word in 0..512 {
            let address = kernel_arena::VirtAddr::new(seen(page(7), &view).value() + word * 8);
            assert_eq!(m.cpu(1).user().read_u64(address), Ok(0));
        }
        // The same fault, raised by another CPU meanwhile.
        assert_eq!(fault(&m, &view, page(7), kind), ProgramFaultOutcome::Retry);
        let stats = m.arena().stats();
        assert_eq!((stats.pages_given, stats.refused_accesses, stats.violations), (1, 0, 0));
        assert_eq!(m.take_flushes(), [], "it waits for nothing");
        assert_eq!(m.arena().free_for_program(seen(page(7), &view).value(), 1, Context::MayWait), Ok(()));
        assert_eq!(m.frames_in_use(), frames);
        // A page that was freed comes again, zeroed.
        m.cpu(1).user().write_u64(seen(page(7), &view), 1).unwrap();
        assert_eq!(m.arena().stats().pages_given, 2);
        m.detach(0, view).unwrap();
        assert_eq!(m.finish(), 1, "and stays when the view goes");
    }
}

fn a_strict_view_gives_none<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Segv);
    let (frames, calls) = (m.frames_in_use(), m.frame_calls());
    for (n, kind) in (1..).zip([Kind::Read, Kind::Write]) {
        assert_eq!(fault(&m, &view, page(7), kind), refused(Refusal::Policy));
        assert_eq!(m.arena().stats().refused_accesses, n);
    }
    let cause = Cause::Missing { level: 3 };
    assert_eq!(m.cpu(1).user().read_u64(seen(page(7), &view)).unwrap_err().cause, cause);
    assert_eq!((m.frames_in_use(), m.frame_calls()), (frames, calls));
    assert_eq!(state(&m, page(7)), SlotState::Vacant);
    m.detach(0, view).unwrap();
    m.finish();
}

/// Whoever is out of frames says so: the page is free, and is given as soon as there is a frame.
fn without_a_frame_the_program_is_told_so_and_gets_its_page_later<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Lazy);
    let frames = m.frames_in_use();
    m.limit_frames(frames);
    for _ in 0..3 {
        assert_eq!(fault(&m, &view, page(7), Kind::Write), refused(Refusal::NoFrame));
        assert_eq!((state(&m, page(7)), m.frames_in_use()), (SlotState::Vacant, frames));
        assert_eq!(m.arena().stats().claimed_pages, 0);
    }
    m.limit_frames(frames + 1);
    m.cpu(1).user().write_u64(seen(page(7), &view), 6).unwrap();
    assert_eq!(m.read(0, page(7)), Ok(6));
    m.detach(0, view).unwrap();
    m.finish();
}

/// Scratch elsewhere, and pages that wait for `reclaim`, keep no page from being given.
fn a_page_is_given_among_pages_that_hold_scratch<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 64).build();
    let view = attached(&m, FaultPolicy::Lazy);
    for at in [6, 8, 9] {
        m.write(0, page(at), 1).unwrap();
    }
    let queued = m.alloc(2);
    m.arena().free_for_program(u64::from(queued.offset()), 2, Context::Any).unwrap();
    // Freed, and never settled.
    assert_eq!(fault(&m, &view, page(7), Kind::Write), ProgramFaultOutcome::PageGiven);
    m.free(page(7), 1);
    assert_eq!(fault(&m, &view, page(7), Kind::Write), ProgramFaultOutcome::PageGiven);
    m.detach(0, view).unwrap();
    m.finish();
}

each_format!(
    a_lazy_view_gives_a_zeroed_page_that_is_the_programs_own,
    a_strict_view_gives_none,
    without_a_frame_the_program_is_told_so_and_gets_its_page_later,
    a_page_is_given_among_pages_that_hold_scratch,
);
