//! What the kernel does for a program while it runs: system calls, and its faults.

use kernel_arena::views::{ProgramFaultOutcome, Refusal, ViewId};
use kernel_arena::{AllocError, Arena, Context, FreeError, PageRange, Platform, ProgramBase, ReserveError};
use support::user::{AddressSpace, Event, Thread};
use support::{FaultFrame, KernelPlatform};

use guests::abi::{ALLOC, ECHO, EXIT, FREE, REFUSED, RESERVE, TELL};

/// How a run of a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
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
pub trait Witness {
    /// A system call and its answer.
    fn called(&mut self, number: u64, arguments: [u64; 4], answer: u64);
    /// A fault, before anybody has looked at it: what goes on meanwhile.
    fn faulting(&mut self, _frame: &FaultFrame) {}
    /// A fault and what became of it.
    fn faulted(&mut self, address: u64, outcome: ProgramFaultOutcome);
}

/// Nobody.
#[derive(Debug)]
pub struct Nobody;

impl Witness for Nobody {
    fn called(&mut self, _number: u64, _arguments: [u64; 4], _answer: u64) {}
    fn faulted(&mut self, _address: u64, _outcome: ProgramFaultOutcome) {}
}

/// A program that sees an arena, or none.
#[derive(Debug)]
pub struct Served<'a, P: Platform = KernelPlatform> {
    /// The arena that its calls are about.
    pub arena: &'a Arena<P>,
    /// Where it runs.
    pub space: &'a AddressSpace,
    /// Its view, if it has one.
    pub view: Option<(ViewId, ProgramBase)>,
}

impl<P: Platform> Served<'_, P> {
    /// Runs a program until it ends, or until somebody is to be told.
    pub fn run(&self, thread: &mut Thread) -> Ended {
        self.run_before(thread, &mut Nobody)
    }

    /// The same before a witness.
    pub fn run_before(&self, thread: &mut Thread, witness: &mut impl Witness) -> Ended {
        self.run_in(Context::MayWait, thread, witness)
    }

    /// The same in a kernel whose system calls may wait for a shootdown, or may not.
    pub fn run_in(&self, context: Context, thread: &mut Thread, witness: &mut impl Witness) -> Ended {
        loop {
            match thread.run(self.space) {
                Event::Call { number: EXIT, arguments: [value, ..] } => return Ended::Exit(value),
                Event::Call { number, arguments } => {
                    let answer = self.call(context, number, arguments);
                    witness.called(number, arguments, answer);
                    thread.answer(answer);
                    if number == TELL {
                        return Ended::Told(arguments[0]);
                    }
                }
                Event::Fault(frame) => {
                    witness.faulting(&frame);
                    let outcome = self.fault(&frame);
                    witness.faulted(frame.address, outcome);
                    match outcome {
                        ProgramFaultOutcome::PageGiven | ProgramFaultOutcome::Retry => {}
                        // Whoever holds the page runs on another CPU, or will.
                        ProgramFaultOutcome::Refused(Refusal::Busy) => {}
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

    fn call(&self, context: Context, number: u64, [first, second, third, fourth]: [u64; 4]) -> u64 {
        let arena = self.arena;
        match (number, self.view) {
            (ECHO, _) => first.wrapping_add(second).wrapping_add(third).wrapping_add(fourth),
            (TELL, _) => 0,
            (ALLOC, Some((_, base))) => {
                let pages = arena.alloc_for_program(first, second, context);
                pages.map_or_else(|error| alloc_code(error).answer(), |pages| address(pages, base))
            }
            (FREE, Some(_)) => {
                let freed = arena.free_for_program(first, second, context);
                freed.map_or_else(|error| free_code(error).answer(), |()| 0)
            }
            (RESERVE, Some((_, base))) => {
                let pages = arena.reserve_for_program(first, second);
                pages.map_or_else(|error| reserve_code(error).answer(), |pages| address(pages, base))
            }
            _ => Code::NoSuchCall.answer(),
        }
    }
}

fn address(pages: PageRange, base: ProgramBase) -> u64 {
    pages.to_ptr().to_program(base).value()
}

/// What a program is told: small numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// It was done.
    Done,
    /// There is no such call.
    NoSuchCall,
    /// No pages were asked for.
    ZeroPages,
    /// An address inside a page.
    Misaligned,
    /// Not in the extent.
    Outside,
    /// Somebody has a page of these.
    Taken,
    /// There is no room.
    NoSpace,
    /// There may be some in a moment.
    Busy,
    /// The page is another's.
    NotOwner,
    /// The page is nobody's.
    NotAllocated,
    /// The kernel has left the scratch page there, which goes in a moment.
    Scratched,
    /// Something else.
    Other,
}

impl Code {
    /// The answer that says so.
    #[must_use]
    pub const fn answer(self) -> u64 {
        match self {
            Self::Done => 0,
            code => REFUSED | code as u64,
        }
    }
}

/// The names of the codes, for histograms.
pub const CODES: [&str; 12] = [
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
    "scratched",
    "other",
];

const fn alloc_code(error: AllocError) -> Code {
    match error {
        AllocError::ZeroPages => Code::ZeroPages,
        AllocError::Misaligned => Code::Misaligned,
        AllocError::Outside => Code::Outside,
        AllocError::Taken { .. } => Code::Taken,
        AllocError::NoSpace(_) => Code::NoSpace,
        AllocError::Busy(_) => Code::Busy,
        AllocError::Tainted { .. } => Code::Scratched,
        _ => Code::Other,
    }
}

const fn free_code(error: FreeError) -> Code {
    match error {
        FreeError::ZeroPages => Code::ZeroPages,
        FreeError::Misaligned => Code::Misaligned,
        FreeError::Outside => Code::Outside,
        FreeError::NotOwner { .. } => Code::NotOwner,
        FreeError::NotAllocated { .. } => Code::NotAllocated,
        _ => Code::Other,
    }
}

const fn reserve_code(error: ReserveError) -> Code {
    match error {
        ReserveError::ZeroPages => Code::ZeroPages,
        ReserveError::Misaligned => Code::Misaligned,
        ReserveError::Outside => Code::Outside,
        ReserveError::Taken { .. } => Code::Taken,
        ReserveError::Busy { .. } => Code::Busy,
        _ => Code::Other,
    }
}
