//! What a hostile program came to: its calls and its faults, by outcome.

use kernel_arena::views::{ProgramFaultOutcome, Refusal};
use kernel_arena::{Context, WINDOW_SIZE};
use support::{FaultFrame, Random};

use crate::bench::KernelArena;
use guests::abi::{ALLOC, FREE, REFUSED, RESERVE};
use process::{BASE, CODES, Witness};

/// What was called, by outcome; and a digest of all of it, in order.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// For allocations, frees, reservations and other calls: how many ended so.
    pub(crate) calls: [[u64; CODES.len()]; 4],
    /// Accesses, as [`ANSWERS`] says.
    pub(crate) faults: [u64; ANSWERS.len()],
    pub(crate) total: u64,
    pub(crate) digest: u64,
}

/// What becomes of a fault.
pub(crate) const ANSWERS: [&str; 12] = [
    "given",
    "tried again",
    "nobody's",
    "policy",
    "scratched",
    "outside",
    "reserved",
    "the kernel's",
    "read-only",
    "not executable",
    "no frame",
    "other",
];
/// A code of [`CODES`].
const BUSY: usize = 7;
pub(crate) const GIVEN: usize = 0;
const RETRY: usize = 1;
/// The first of those that are refused.
const REFUSED_FROM: usize = 3;
/// What a rampage does not come to: memory is not short, and nobody holds a page for long, nor has the wrong root.
pub(crate) const NEVER: [usize; 2] = [10, 11];

const fn answer(outcome: ProgramFaultOutcome) -> usize {
    match outcome {
        ProgramFaultOutcome::PageGiven => GIVEN,
        ProgramFaultOutcome::Retry => RETRY,
        ProgramFaultOutcome::NotOurs => 2,
        ProgramFaultOutcome::Refused(refusal) => match refusal {
            Refusal::Policy => 3,
            Refusal::Scratched => 4,
            Refusal::OutsideExtent => 5,
            Refusal::Reserved => 6,
            Refusal::KernelPage => 7,
            Refusal::ReadOnlyView => 8,
            Refusal::NotExecutable => 9,
            Refusal::NoFrame => 10,
            _ => 11,
        },
    }
}

impl History {
    fn note(&mut self, values: &[u64]) {
        for value in values {
            // FNV-1a, by words.
            self.digest = (self.digest ^ value).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn refused(&self) -> u64 {
        self.faults[REFUSED_FROM..].iter().sum()
    }

    pub(crate) fn wrong_frees(&self) -> u64 {
        self.calls[1][1..].iter().sum()
    }

    /// What takes two CPUs: allocations and reservations that were in the middle of something, and accesses that are tried again.
    pub(crate) const fn meetings(&self) -> [u64; 3] {
        [self.calls[0][BUSY], self.calls[2][BUSY], self.faults[RETRY]]
    }

    /// Adds what another has seen.
    pub(crate) fn add(&mut self, other: &Self) {
        let sum = |ours: &mut [u64], theirs: &[u64]| ours.iter_mut().zip(theirs).for_each(|(ours, more)| *ours += more);
        self.calls.iter_mut().zip(&other.calls).for_each(|(ours, theirs)| sum(ours, theirs));
        sum(&mut self.faults, &other.faults);
        self.total += other.total;
    }
}

impl Witness for History {
    fn called(&mut self, number: u64, arguments: [u64; 4], answer: u64) {
        let kind = match number {
            ALLOC => 0,
            FREE => 1,
            RESERVE => 2,
            _ => 3,
        };
        let code = if answer & REFUSED == 0 { 0 } else { usize::try_from(answer & 0xff).unwrap_or(0) };
        self.calls[kind][code.min(CODES.len() - 1)] += 1;
        self.total += 1;
        self.note(&[number, arguments[0], arguments[1], answer]);
    }

    fn faulted(&mut self, address: u64, outcome: ProgramFaultOutcome) {
        self.faults[answer(outcome)] += 1;
        self.note(&[address, answer(outcome) as u64]);
    }
}

/// A history in which, now and then, another program is faster: it has asked for the page before the kernel comes to look at the
/// fault.
pub(crate) struct Faster<'a> {
    arena: &'a KernelArena,
    random: Random,
    was_faster: bool,
    /// Answers that say nothing of it, or that say it of nobody.
    pub(crate) astray: u64,
    pub(crate) history: History,
}

impl<'a> Faster<'a> {
    pub(crate) fn new(arena: &'a KernelArena, seed: u64) -> Self {
        Self { arena, random: Random::new(seed), was_faster: false, astray: 0, history: History::default() }
    }
}

impl Witness for Faster<'_> {
    fn called(&mut self, number: u64, arguments: [u64; 4], answer: u64) {
        self.history.called(number, arguments, answer);
    }

    fn faulting(&mut self, frame: &FaultFrame) {
        let address = frame.address;
        // Page 0 would be any.
        let is_seen = (BASE + 4096..BASE + WINDOW_SIZE).contains(&address);
        self.was_faster = is_seen
            && self.random.one_in(8)
            && self.arena.alloc_for_program(address & !0xfff, 1, Context::MayWait).is_ok();
    }

    fn faulted(&mut self, address: u64, outcome: ProgramFaultOutcome) {
        self.astray += u64::from(match outcome {
            ProgramFaultOutcome::Retry => !self.was_faster,
            ProgramFaultOutcome::Refused(Refusal::ReadOnlyView | Refusal::NotExecutable) => false,
            _ => self.was_faster,
        });
        self.history.faulted(address, outcome);
    }
}
