//! Program views on the software machine: attached, detached, refused; what a program may do, what becomes of its faults, what
//! the kernel does on its behalf.
//!
//! Some tests mirror upstream's (Linux's BPF arena), and say which: T numbers are tests that exist there, U numbers what was
//! proposed or found since; `docs/UPSTREAM-PARITY.md` says what each claims.

use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal, View, ViewRights};
use kernel_arena::{ArenaPtr, PageCount, PageIndex, PageRange, SlotState, VirtAddr};

use crate::machine::{Format, Kind, Lent, Machine};

mod attach;
mod behalf;
mod detach;
mod faults;
mod flushes;
mod passing;
mod refusals;
mod rights;
mod rows;
mod spaces;
mod usage;

const POLICIES: [FaultPolicy; 2] = [FaultPolicy::Lazy, FaultPolicy::Segv];

const fn refused(reason: Refusal) -> ProgramFaultOutcome {
    ProgramFaultOutcome::Refused(reason)
}

/// The first byte of a page.
fn page(number: u32) -> ArenaPtr {
    PageRange::new(index(number), PageCount::ONE).expect("the window has that page").to_ptr()
}

fn index(number: u32) -> PageIndex {
    PageIndex::new(number).expect("the window has that page")
}

fn state<F: Format>(m: &Machine<F>, at: ArenaPtr) -> SlotState {
    m.quietly(|| m.arena().page_state(PageIndex::containing(at))).expect("it is in the extent")
}

/// A view of the first arena in the address space with tag 1, which CPU 1 has loaded.
fn attached<F: Format>(m: &Machine<F>, policy: FaultPolicy) -> View<Lent> {
    m.cpu(1).switch_to(1);
    m.attach(0, m.lend(0, 1), ViewRights::ReadWrite, policy).expect("there is room")
}

/// Where a byte is in a view.
fn seen(at: ArenaPtr, view: &View<Lent>) -> VirtAddr {
    at.to_program(view.base()).into()
}

/// What becomes of a fault at a byte of a view of the first arena.
fn fault<F: Format>(m: &Machine<F>, view: &View<Lent>, at: ArenaPtr, kind: Kind) -> ProgramFaultOutcome {
    m.fault(0, view.id(), seen(at, view).value(), kind)
}
