//! A program's fault at a page that somebody else is at work on: `Retry`, and never a reason to end the program.
//!
//! Both ways round: an operation comes in at each call of the platform that the fault makes, and the fault comes in at each
//! that an operation makes. What is at work on a page is told by the figure of claimed pages: the extent is one page.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal, ViewId};
use kernel_arena::{AllocRequest, Context, Owner, PageCount, SlotState};

use super::{POLICIES, attached, page, refused, seen, state};
use crate::machine::{Format, Kind, Machine, Point};

const ONE: PageCount = PageCount::ONE;
const KINDS: [Kind; 2] = [Kind::Read, Kind::Write];

/// An operation on the one page; before it, what it needs has been done.
type Doing<F> = (&'static str, fn(&Machine<F>), fn(&Machine<F>));

fn alloc<F: Format>(m: &Machine<F>) {
    let _ = m.arena().alloc_pages(AllocRequest::new(ONE, Owner::Program).exactly_at(page(1)));
}

fn alloc_without_waiting<F: Format>(m: &Machine<F>) {
    let request = AllocRequest::new(ONE, Owner::Program).exactly_at(page(1)).in_context(Context::Any);
    let _ = m.arena().alloc_pages(request);
}

fn free<F: Format>(m: &Machine<F>) {
    let _ = m.arena().free_pages(page(1), ONE, Owner::Program);
}

fn defer<F: Format>(m: &Machine<F>) {
    let _ = m.arena().free_pages_deferred(page(1), ONE, Owner::Program);
}

fn reserve<F: Format>(m: &Machine<F>) {
    let _ = m.arena().reserve_pages(page(1), ONE, Owner::Program);
}

fn alloc_reserved<F: Format>(m: &Machine<F>, context: Context) {
    let request = AllocRequest::new(ONE, Owner::Program).in_reservation(page(1)).in_context(context);
    let _ = m.arena().alloc_pages(request);
}

fn reclaim<F: Format>(m: &Machine<F>) {
    m.arena().reclaim();
}

/// A wild store of the kernel's.
fn scratch<F: Format>(m: &Machine<F>) {
    m.write(0, page(1), 1).unwrap();
}

fn nothing<F: Format>(_: &Machine<F>) {}

fn operations<F: Format>() -> Vec<Doing<F>> {
    vec![
        ("alloc", nothing, alloc),
        ("alloc, any context", nothing, alloc_without_waiting),
        ("alloc over scratch", scratch, alloc),
        ("alloc over scratch, any context", scratch, alloc_without_waiting),
        ("free", alloc, free),
        ("deferred free", alloc, defer),
        ("reclaim of a deferred page", |m| (alloc(m), defer(m)).1, reclaim),
        ("reclaim of scratch", scratch, reclaim),
        ("reserve", nothing, reserve),
        ("alloc in a reservation", reserve, |m| alloc_reserved(m, Context::MayWait)),
        ("alloc in a reservation, any context", reserve, |m| alloc_reserved(m, Context::Any)),
        ("alloc in a scratched reservation", |m| (reserve(m), scratch(m)).1, |m| alloc_reserved(m, Context::MayWait)),
        ("free of a reservation", reserve, free),
        ("deferred free of a reservation", reserve, defer),
        ("deferred free of a scratched reservation", |m| (reserve(m), scratch(m)).1, defer),
        ("alloc and free", nothing, |m| (alloc(m), free(m)).1),
        ("scratch and heal", nothing, |m| (scratch(m), reclaim(m)).1),
        ("heal and alloc", scratch, |m| (reclaim(m), alloc(m)).1),
        ("free and scratch", alloc, |m| (free(m), scratch(m)).1),
    ]
}

/// What the page says when nobody is at work on it.
fn settled(state: SlotState, policy: FaultPolicy) -> ProgramFaultOutcome {
    match (state, policy) {
        (SlotState::Mapped(..) | SlotState::Deferred(..), _) => ProgramFaultOutcome::Retry,
        (SlotState::Reserved(_) | SlotState::ScratchOverReserved(_), _) => refused(Refusal::Reserved),
        (SlotState::Scratch, _) => refused(Refusal::Scratched),
        (_, FaultPolicy::Segv) => refused(Refusal::Policy),
        (_, FaultPolicy::Lazy) => ProgramFaultOutcome::PageGiven,
    }
}

fn a_fault_in_the_middle_of_anything_is_no_reason_to_end_a_program<F: Format>() {
    for policy in POLICIES {
        let passing = Rc::new(Cell::new(0));
        for (name, before, operation) in operations::<F>() {
            for kind in KINDS {
                for point in 0.. {
                    let m = Machine::<F>::builder().extent(1, 1).build();
                    let view = attached(&m, policy);
                    before(&m);
                    let (id, address) = (view.id(), seen(page(1), &view).value());
                    let count = Rc::clone(&passing);
                    m.interrupt_at(point, move |m| {
                        let claimed = m.quietly(|| m.arena().stats().claimed_pages) == 1;
                        let was = state(m, page(1));
                        let outcome = m.on_cpu(1, || m.fault(0, id, address, kind));
                        let unsettled =
                            claimed && matches!(was, SlotState::Scratch | SlotState::Vacant | SlotState::Vacated(_));
                        let right = if unsettled { ProgramFaultOutcome::Retry } else { settled(was, policy) };
                        assert_eq!(outcome, right, "{name}, {policy:?}, at point {point}: {was:?}, claimed {claimed}");
                        count.set(count.get() + u32::from(unsettled));
                    });
                    operation(&m);
                    let interrupted = m.interrupted();
                    m.clear_hooks();
                    m.arena().reclaim();
                    m.detach(0, view).unwrap();
                    m.finish();
                    if !interrupted {
                        break;
                    }
                }
            }
        }
        assert!(passing.get() > 40, "{} times in the middle", passing.get());
    }
}

fn whatever_comes_into_a_fault_it_is_refused_only_for_what_stays<F: Format>() {
    for policy in POLICIES {
        for (name, before, operation) in operations::<F>() {
            for kind in KINDS {
                for point in 0.. {
                    let m = Machine::<F>::builder().extent(1, 1).build();
                    let view = attached(&m, policy);
                    before(&m);
                    let started = state(&m, page(1));
                    m.interrupt_at(point, move |m| m.on_cpu(0, || operation(m)));
                    let outcome = m.on_cpu(1, || m.fault(0, view.id(), seen(page(1), &view).value(), kind));
                    let interrupted = m.interrupted();
                    m.clear_hooks();
                    let ended = state(&m, page(1));
                    let what = || format!("{name}, {policy:?}, at point {point}: {started:?}, {ended:?}");
                    match outcome {
                        ProgramFaultOutcome::PageGiven => {
                            assert_eq!(policy, FaultPolicy::Lazy);
                            // Somebody may have freed it since.
                            assert!(interrupted || matches!(ended, SlotState::Mapped(_, Owner::Program)), "{}", what());
                        }
                        // It is so now, or was when it came, and the fault was there first.
                        ProgramFaultOutcome::Refused(_) => {
                            let stays = [started, ended].map(|state| settled(state, policy));
                            assert!(stays.contains(&outcome), "{outcome:?}: {}", what());
                        }
                        ProgramFaultOutcome::Retry => {}
                        ProgramFaultOutcome::NotOurs => panic!("{}", what()),
                    }
                    // The next one finds an answer.
                    assert_eq!(super::fault(&m, &view, page(1), kind), settled(ended, policy), "{}", what());
                    m.arena().reclaim();
                    m.detach(0, view).unwrap();
                    m.finish();
                    if !interrupted {
                        break;
                    }
                }
            }
        }
    }
}

/// The number of a claimed page is free when the fault asks, for the healing is over: only a second look tells that what the
/// first one saw is gone.
fn scratch_that_is_healed_between_two_looks_is_no_refusal<F: Format>() {
    for policy in POLICIES {
        let m = Machine::<F>::builder().extent(1, 1).build();
        let view = attached(&m, policy);
        scratch(&m);
        // A look asks for the pointer of a table; the next is the second look's.
        m.interrupt_at(1, |m| m.on_cpu(0, || reclaim(m)));
        assert_eq!(super::fault(&m, &view, page(1), Kind::Read), ProgramFaultOutcome::Retry);
        assert!(m.interrupted());
        assert_eq!(super::fault(&m, &view, page(1), Kind::Read), settled(SlotState::Vacant, policy));
        m.detach(0, view).unwrap();
        m.finish();
    }
}

/// A wild access of the kernel's that scratches the page at any moment: the fault does not heal it, which would be a
/// shootdown.
fn a_fault_waits_for_no_shootdown_whatever_comes_in<F: Format>() {
    for policy in POLICIES {
        for point in 0.. {
            let m = Machine::<F>::builder().extent(1, 1).build();
            let view = attached(&m, policy);
            m.interrupt_at(point, |m| m.on_cpu(0, || scratch(m)));
            m.take_flushes();
            let outcome = m.on_cpu(1, || m.fault(0, view.id(), seen(page(1), &view).value(), Kind::Read));
            assert_eq!(m.take_flushes(), [], "{outcome:?} at point {point}");
            let interrupted = m.interrupted();
            m.clear_hooks();
            m.detach(0, view).unwrap();
            m.finish();
            if !interrupted {
                break;
            }
        }
    }
}

/// U3: a fault on a page that is being freed, whose frame is still a stale translation's, maps nothing there.
fn a_fault_on_a_page_that_is_being_freed_maps_nothing<F: Format>() {
    for policy in POLICIES {
        let m = Machine::<F>::builder().build();
        let view = attached(&m, policy);
        let at = m.alloc(1);
        let (id, address) = (view.id(), seen(at, &view).value());
        m.hook(Point::BeforeFlush, move |m| {
            let outcome: [ProgramFaultOutcome; 2] = KINDS.map(|kind| again(m, id, address, kind));
            assert_eq!(outcome, [ProgramFaultOutcome::Retry; 2]);
            assert_eq!(m.frame_of(m.at(at)), None);
        });
        m.free(at, 1);
        m.clear_hooks();
        m.detach(0, view).unwrap();
        assert_eq!(m.finish(), 0);
    }
}

fn again<F: Format>(m: &Machine<F>, id: ViewId, address: u64, kind: Kind) -> ProgramFaultOutcome {
    m.on_cpu(1, || m.fault(0, id, address, kind))
}

/// A view that goes while its fault is handled: the page may have been given, and nothing else is left behind.
fn a_view_that_is_detached_in_the_middle_of_its_fault_leaves_nothing<F: Format>() {
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 4).build();
        let base = m.try_attach_view(0, 1, kernel_arena::views::ViewRights::ReadWrite, FaultPolicy::Lazy).unwrap();
        m.cpu(1).switch_to(1);
        m.interrupt_at(point, move |m| m.on_cpu(0, || m.detach_view(base)));
        let read = m.cpu(1).user().read_u64(page(2).to_program(base));
        let interrupted = m.interrupted();
        assert_eq!(read.is_ok(), !interrupted);
        m.clear_hooks();
        assert!(m.finish() <= 1);
        if !interrupted {
            assert!(point > 4, "the fault called the platform {point} times");
            break;
        }
    }
}

each_format!(
    a_fault_in_the_middle_of_anything_is_no_reason_to_end_a_program,
    whatever_comes_into_a_fault_it_is_refused_only_for_what_stays,
    scratch_that_is_healed_between_two_looks_is_no_refusal,
    a_fault_waits_for_no_shootdown_whatever_comes_in,
    a_fault_on_a_page_that_is_being_freed_maps_nothing,
    a_view_that_is_detached_in_the_middle_of_its_fault_leaves_nothing,
);
