//! What the kernel does for a program while it runs: system calls, and its faults.

use kernel_arena::views::{ProgramFaultOutcome, Refusal, ViewId};
use kernel_arena::{AllocError, Context, FreeError, PageRange, ProgramBase, ReserveError};
use support::FaultFrame;
use support::user::{AddressSpace, Event, Thread};

use crate::bench::KernelArena;
use guests::abi::{ALLOC, ECHO, EXIT, FREE, REFUSED, RESERVE, TELL};

/// How a run of a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It said so, with a value.
    Exit(u64),
    /// It told a value; run again, it goes on.
    Told(u64),
    /// An access was refused, and this address was it.
    Refused(Refusal, u64),
    /// It faulted where no arena is.
    Wild(FaultFrame),
    /// It was interrupted; run again, it goes on.
    Interrupted,
    /// Another exception.
    Exception,
}

/// What a system call or a fault came to, for those who keep a history.
pub(crate) trait Witness {
    /// A system call and its answer.
    fn called(&mut self, number: u64, arguments: [u64; 4], answer: u64);
    /// A fault and what became of it.
    fn faulted(&mut self, address: u64, outcome: ProgramFaultOutcome);
}

/// Nobody.
#[derive(Debug)]
pub(crate) struct Nobody;

impl Witness for Nobody {
    fn called(&mut self, _number: u64, _arguments: [u64; 4], _answer: u64) {}
    fn faulted(&mut self, _address: u64, _outcome: ProgramFaultOutcome) {}
}

/// A program that sees an arena, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served<'a> {
    pub(crate) arena: &'a KernelArena,
    pub(crate) space: &'a AddressSpace,
    pub(crate) view: Option<(ViewId, ProgramBase)>,
}

impl Served<'_> {
    /// Runs a program until it ends, or until somebody is to be told.
    pub(crate) fn run(&self, thread: &mut Thread) -> Ended {
        self.run_before(thread, &mut Nobody)
    }

    /// The same before a witness.
    pub(crate) fn run_before(&self, thread: &mut Thread, witness: &mut impl Witness) -> Ended {
        loop {
            match thread.run(self.space) {
                Event::Call { number: EXIT, arguments: [value, ..] } => return Ended::Exit(value),
                Event::Call { number, arguments } => {
                    let answer = self.call(number, arguments);
                    witness.called(number, arguments, answer);
                    thread.answer(answer);
                    if number == TELL {
                        return Ended::Told(arguments[0]);
                    }
                }
                Event::Fault(frame) => {
                    let outcome = self.fault(&frame);
                    witness.faulted(frame.address, outcome);
                    match outcome {
                        ProgramFaultOutcome::PageGiven | ProgramFaultOutcome::Retry => {}
                        ProgramFaultOutcome::Refused(refusal) => return Ended::Refused(refusal, frame.address),
                        ProgramFaultOutcome::NotOurs => return Ended::Wild(frame),
                    }
                }
                Event::Interrupted => return Ended::Interrupted,
                Event::Exception { .. } => return Ended::Exception,
            }
        }
    }

    fn fault(&self, frame: &FaultFrame) -> ProgramFaultOutcome {
        match (self.view, frame.decode_program()) {
            (Some((view, _)), Some(fault)) => self.arena.handle_program_fault(view, &fault),
            _ => ProgramFaultOutcome::NotOurs,
        }
    }

    fn call(&self, number: u64, [first, second, third, fourth]: [u64; 4]) -> u64 {
        let arena = self.arena;
        match (number, self.view) {
            (ECHO, _) => first.wrapping_add(second).wrapping_add(third).wrapping_add(fourth),
            (TELL, _) => 0,
            (ALLOC, Some((_, base))) => {
                let pages = arena.alloc_for_program(first, second, Context::MayWait);
                pages.map_or_else(|error| refused(alloc_code(error)), |pages| address(pages, base))
            }
            (FREE, Some(_)) => {
                let freed = arena.free_for_program(first, second, Context::MayWait);
                freed.map_or_else(|error| refused(free_code(error)), |()| 0)
            }
            (RESERVE, Some((_, base))) => {
                let pages = arena.reserve_for_program(first, second);
                pages.map_or_else(|error| refused(reserve_code(error)), |pages| address(pages, base))
            }
            _ => refused(NO_SUCH_CALL),
        }
    }
}

fn address(pages: PageRange, base: ProgramBase) -> u64 {
    pages.to_ptr().to_program(base).value()
}

const fn refused(code: u64) -> u64 {
    REFUSED | code
}

/// What a program is told: small numbers.
const NO_SUCH_CALL: u64 = 1;
pub(crate) const ZERO_PAGES: u64 = 2;
pub(crate) const MISALIGNED: u64 = 3;
pub(crate) const OUTSIDE: u64 = 4;
pub(crate) const TAKEN: u64 = 5;
pub(crate) const NO_SPACE: u64 = 6;
pub(crate) const BUSY: u64 = 7;
pub(crate) const NOT_OWNER: u64 = 8;
pub(crate) const NOT_ALLOCATED: u64 = 9;
const OTHER: u64 = 10;

/// The names of the codes, for histograms.
pub(crate) const CODES: [&str; 11] = [
    "done",
    "no such call",
    "zero pages",
    "misaligned",
    "outside",
    "taken",
    "no space",
    "busy",
    "not owner",
    "not allocated",
    "other",
];

const fn alloc_code(error: AllocError) -> u64 {
    match error {
        AllocError::ZeroPages => ZERO_PAGES,
        AllocError::Misaligned => MISALIGNED,
        AllocError::Outside => OUTSIDE,
        AllocError::Taken { .. } => TAKEN,
        AllocError::NoSpace(_) => NO_SPACE,
        AllocError::Busy(_) => BUSY,
        _ => OTHER,
    }
}

const fn free_code(error: FreeError) -> u64 {
    match error {
        FreeError::ZeroPages => ZERO_PAGES,
        FreeError::Misaligned => MISALIGNED,
        FreeError::Outside => OUTSIDE,
        FreeError::NotOwner { .. } => NOT_OWNER,
        FreeError::NotAllocated { .. } => NOT_ALLOCATED,
        _ => OTHER,
    }
}

const fn reserve_code(error: ReserveError) -> u64 {
    match error {
        ReserveError::ZeroPages => ZERO_PAGES,
        ReserveError::Misaligned => MISALIGNED,
        ReserveError::Outside => OUTSIDE,
        ReserveError::Taken { .. } => TAKEN,
        ReserveError::Busy { .. } => BUSY,
        _ => OTHER,
    }
}
