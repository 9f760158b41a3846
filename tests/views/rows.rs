//! A program's faults that are answered with `Retry`: run again, but not for ever.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal, View};
use kernel_arena::{Access, Fault, FaultOutcome, InstructionAddr, SlotState};

use super::{attached, fault, page, refused, seen, state};
use crate::machine::{Format, INSTRUCTION, Kind, Lent, Machine};

/// The length of the row that is refused.
const ROW: usize = 1 << 17;

/// So many faults of a program at a page that is there: how many were refused. The others ran again.
fn refusals<F: Format>(m: &Machine<F>, view: &View<Lent>, number: u32, faults: usize) -> usize {
    let (id, address) = (view.id(), seen(page(number), view).value());
    let is_refused = |_: &usize| match m.fault(0, id, address, Kind::Read) {
        ProgramFaultOutcome::Retry => false,
        outcome => {
            assert_eq!(outcome, refused(Refusal::Unreachable));
            true
        }
    };
    m.quietly(|| (0..faults).filter(is_refused).count())
}

/// Another space is loaded than the view's, say.
fn a_program_that_never_comes_to_its_page_is_told_in_the_end<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Segv);
    let number = m.alloc(1).offset() >> 12;
    assert_eq!(refusals(&m, &view, number, ROW - 1), 0);
    assert_eq!(refusals(&m, &view, number, 1), 1);
    assert_eq!(refusals(&m, &view, number, 1), 0, "a new row");
    assert_eq!(m.arena().stats().refused_accesses, 1);
    m.detach(0, view).unwrap();
    m.finish();
}

fn any_other_answer_on_the_cpu_ends_the_row<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Lazy);
    let number = m.alloc(1).offset() >> 12;
    assert_eq!(refusals(&m, &view, number, ROW - 1), 0);
    assert_eq!(fault(&m, &view, page(40), Kind::Read), ProgramFaultOutcome::PageGiven);
    assert_eq!(refusals(&m, &view, number, 1), 0);
    m.free(page(40), 1);
    m.detach(0, view).unwrap();
    m.finish();
}

/// Neither can be made longer by the other, which would end a kernel for what a program does.
fn rows_of_a_program_are_not_the_kernels<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Segv);
    let at = m.alloc(1);
    let kernels = Fault { address: m.at(at), access: Access::Read, instruction: InstructionAddr::new(INSTRUCTION) };
    assert_eq!(refusals(&m, &view, at.offset() >> 12, ROW - 1), 0);
    let outcome = m.quietly(|| m.arena().handle_kernel_fault(&kernels));
    assert_ne!(outcome, FaultOutcome::NotOurs, "the first in the kernel's row");
    m.detach(0, view).unwrap();
    m.finish();
}

/// Whoever is in the middle of an operation may be a thread that the program's CPU has taken off.
fn a_page_that_is_not_let_go_is_told_in_the_end<F: Format>() {
    let told = Rc::new(Cell::new(0));
    for point in 0.. {
        let m = Machine::<F>::builder().extent(1, 1).build();
        let view = attached(&m, FaultPolicy::Lazy);
        let at = m.alloc(1);
        let (id, address, count) = (view.id(), seen(at, &view).value(), Rc::clone(&told));
        m.interrupt_at(point, move |m| {
            let is_vacated = matches!(state(m, at), SlotState::Vacated(_));
            if count.get() > 0 || !is_vacated || m.quietly(|| m.arena().stats().claimed_pages) == 0 {
                return;
            }
            let run = |faults: usize, answer| {
                m.quietly(|| (0..faults).all(|_| m.on_cpu(1, || m.fault(0, id, address, Kind::Read)) == answer))
            };
            assert!(run(ROW - 1, ProgramFaultOutcome::Retry));
            assert!(run(1, refused(Refusal::Busy)));
            assert!(run(1, ProgramFaultOutcome::Retry), "a new row");
            count.set(1);
        });
        m.free(at, 1);
        let interrupted = m.interrupted();
        m.clear_hooks();
        if told.get() > 0 {
            assert_eq!(m.fault(0, id, address, Kind::Read), ProgramFaultOutcome::PageGiven, "it was let go");
            m.free(at, 1);
        }
        m.detach(0, view).unwrap();
        m.finish();
        if told.get() > 0 {
            return;
        }
        assert!(interrupted, "no point at which the page was vacated and claimed");
    }
}

each_format!(
    a_page_that_is_not_let_go_is_told_in_the_end,
    a_program_that_never_comes_to_its_page_is_told_in_the_end,
    any_other_answer_on_the_cpu_ends_the_row,
    rows_of_a_program_are_not_the_kernels,
);
