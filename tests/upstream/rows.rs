//! Faults that come again: tolerated as long as something may explain them, and declined when nothing does.

use kernel_arena::{Access, ArenaPtr, Fault, FaultOutcome, InstructionAddr, KernelAddr};

use super::{defer, guard, page};
use crate::machine::{Format, INSTRUCTION, Machine};

/// The length of the row that is declined.
const ROW: usize = 1 << 17;

fn fault_at(address: KernelAddr) -> Fault {
    Fault { address, access: Access::Read, instruction: InstructionAddr::new(INSTRUCTION) }
}

/// So many faults at one address, on the CPU that this runs on: how many of them were declined.
fn declined<F: Format>(m: &Machine<F>, address: KernelAddr, faults: usize) -> usize {
    let fault = fault_at(address);
    let declined = |_: &usize| m.arena().handle_kernel_fault(&fault) == FaultOutcome::NotOurs;
    m.quietly(|| (0..faults).filter(declined).count())
}

/// A processor that faults for a reason that no arena sees.
fn a_fault_that_nothing_explains_is_declined_in_the_end<F: Format>() {
    let m = Machine::<F>::builder().build();
    let there = m.at(m.alloc(1));
    assert_eq!(declined(&m, there, ROW - 1), 0);
    assert_eq!(declined(&m, there, 1), 1);
    assert_eq!(declined(&m, there, ROW - 1), 0, "a new row");
    m.finish();
}

/// Whatever other CPUs do meanwhile, and whether or not the kernel knows where it is.
fn what_else_goes_on_does_not_lengthen_a_row<F: Format>() {
    let m = Machine::<F>::builder().build();
    let there = m.at(m.alloc(1));
    let busy = |m: &Machine<F>| {
        for step in 0..ROW {
            if step % 1024 == 0 {
                m.on_cpu(1, || {
                    m.free(m.alloc(2), 2);
                    let queued = m.alloc(1);
                    assert_eq!(defer(m, queued, 1), Ok(()));
                    m.arena().reclaim();
                });
            }
            if declined(m, there, 1) == 1 {
                return step + 1;
            }
        }
        0
    };
    assert_eq!(busy(&m), ROW);
    assert_eq!(m.nameless(|| busy(&m)), ROW, "without a name");
    // Levels are used up, but the CPU is known: half the row there is half of this CPU's row.
    assert_eq!(m.without_level(|| declined(&m, there, ROW / 2)), 0);
    assert_eq!(m.on_cpu(1, || m.without_level(|| declined(&m, there, ROW / 2))), 0);
    assert_eq!(declined(&m, there, ROW / 2 - 1), 0);
    assert_eq!(declined(&m, there, 1), 1);
    m.finish();
}

/// Four contexts of one CPU touch a page before any handler has looked; again after each healing, wherever it is.
fn contexts_of_one_cpu_may_fault_on_one_page_together<F: Format>() {
    let m = Machine::<F>::builder().build();
    let at = |ptr: ArenaPtr| m.at(ptr);
    for _ in 0..3 {
        // A slot of the extent, one beside it, a region, the guard.
        for address in [at(page(7)), at(ArenaPtr::new(8).unwrap()), at(ArenaPtr::new(0x4000_0000).unwrap()), guard(&m)]
        {
            let outcomes = [(); 4].map(|()| m.arena().handle_kernel_fault(&fault_at(address)));
            let expected = [FaultOutcome::Recovered, FaultOutcome::Spurious, FaultOutcome::Spurious];
            assert_eq!(outcomes, std::array::from_fn(|n| expected[n.min(2)]));
        }
        m.arena().reclaim();
    }
    m.finish();
}

/// A success that can be seen ends the row: one of this CPU's faults was recovered, or was at another address.
fn a_success_ends_a_row<F: Format>() {
    let m = Machine::<F>::builder().build();
    let there = m.at(m.alloc(1));
    for other in [m.at(page(9)), m.at(m.alloc(1))] {
        assert_eq!(declined(&m, there, ROW - 1), 0);
        assert_eq!(declined(&m, other, 1), 0);
        assert_eq!(declined(&m, there, ROW - 1), 0, "after a fault at {other}");
        assert_eq!(declined(&m, there, 1), 1);
    }
    m.finish();
}

each_format!(
    a_fault_that_nothing_explains_is_declined_in_the_end,
    what_else_goes_on_does_not_lengthen_a_row,
    contexts_of_one_cpu_may_fault_on_one_page_together,
    a_success_ends_a_row,
);
