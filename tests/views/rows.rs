//! A program's faults on a page that is there: run again, but not for ever.

use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal, View};
use kernel_arena::{Access, Fault, FaultOutcome, InstructionAddr};

use super::{POLICIES, attached, fault, page, refused, seen};
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
    for policy in POLICIES {
        let m = Machine::<F>::builder().build();
        let view = attached(&m, policy);
        let number = m.alloc(1).offset() >> 12;
        assert_eq!(refusals(&m, &view, number, ROW - 1), 0);
        assert_eq!(refusals(&m, &view, number, 1), 1);
        assert_eq!(refusals(&m, &view, number, ROW - 1), 0, "a new row");
        assert_eq!(m.arena().stats().refused_accesses, 1);
        m.detach(0, view).unwrap();
        m.finish();
    }
}

fn any_other_answer_on_the_cpu_ends_the_row<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Lazy);
    let (number, other) = (m.alloc(1).offset() >> 12, m.alloc(1).offset() >> 12);
    let given = |m: &Machine<F>| {
        assert_eq!(fault(m, &view, page(40), Kind::Read), ProgramFaultOutcome::PageGiven);
        m.free(page(40), 1);
    };
    assert_eq!(refusals(&m, &view, number, ROW - 1), 0);
    m.on_cpu(0, || given(&m));
    assert_eq!(refusals(&m, &view, number, ROW - 1), 0, "after a page was given");
    assert_eq!(refusals(&m, &view, other, 1), 0);
    assert_eq!(refusals(&m, &view, number, ROW - 1), 0, "after a fault elsewhere");
    m.on_cpu(1, || given(&m));
    assert_eq!(refusals(&m, &view, number, 1), 1, "what another CPU does is not seen");
    m.detach(0, view).unwrap();
    m.finish();
}

/// Neither can be made longer by the other, which would end a kernel for what a program does.
fn rows_of_a_program_are_not_the_kernels<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Segv);
    let at = m.alloc(1);
    let kernels = Fault { address: m.at(at), access: Access::Read, instruction: InstructionAddr::new(INSTRUCTION) };
    let declined = |faults: usize| {
        let is_declined = |_: &usize| m.arena().handle_kernel_fault(&kernels) == FaultOutcome::NotOurs;
        m.quietly(|| (0..faults).filter(is_declined).count())
    };
    assert_eq!(refusals(&m, &view, at.offset() >> 12, ROW - 1), 0);
    assert_eq!(declined(ROW - 1), 0);
    assert_eq!(refusals(&m, &view, at.offset() >> 12, ROW - 1), 0);
    assert_eq!(declined(ROW), 1);
    m.detach(0, view).unwrap();
    m.finish();
}

each_format!(
    a_program_that_never_comes_to_its_page_is_told_in_the_end,
    any_other_answer_on_the_cpu_ends_the_row,
    rows_of_a_program_are_not_the_kernels,
);
