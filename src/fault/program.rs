//! A fault of a program, as the arena sees it, whichever processor raised it.

use core::fmt;

use super::InstructionAddr;
use crate::addr::ProgramAddr;

/// What a program did.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgramAccess {
    /// A load.
    Read,
    /// A store. An atomic read-modify-write is one on x86_64; on aarch64 the processor may report it as a read.
    Write,
    /// An instruction fetch.
    Execute,
}

/// An access of a program that the processor refused, because a page is missing or because it is not the program's.
///
/// [`arch::x86_64::decode_program_fault`](crate::arch::x86_64::decode_program_fault) and
/// [`arch::aarch64::decode_program_fault`](crate::arch::aarch64::decode_program_fault) make one of what the processor reports.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFault {
    /// What was accessed.
    pub address: ProgramAddr,
    /// How.
    pub access: ProgramAccess,
    /// By which instruction.
    pub instruction: InstructionAddr,
}

/// What becomes of a program's fault.
#[must_use = "the program goes on, waits or ends, as the outcome says"]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramFaultOutcome {
    /// A zeroed page was put there: the instruction runs again.
    PageGiven,
    /// The page is there, or is in the middle of somebody's operation: the instruction runs again, and faults again if it must.
    /// It is no reason to end a program.
    ///
    /// Whoever is in the middle may be a thread that this CPU has taken off, so a kernel lets the others have their turn, as its
    /// timer does anyway. After 2^17 of these in a row on one CPU, some 0.1 s, the answer is [`Refusal::Unreachable`] or
    /// [`Refusal::Busy`].
    Retry,
    /// The program may not do that there.
    Refused(Refusal),
    /// No address of that view, or no view of this arena, any more: the kernel handles it as if there were no arena.
    NotOurs,
}

/// Why a program's access was refused.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Nobody has allocated the page, and the view's policy gives none ([`FaultPolicy::Segv`](crate::views::FaultPolicy::Segv)).
    Policy,
    /// A wild access of the kernel has left the scratch page there: until [`reclaim`](crate::Arena::reclaim) takes it away, nobody
    /// gets a page. That is not the program's doing: the kernel calls it, and has the instruction run again.
    Scratched,
    /// The page is not one that can be allocated.
    OutsideExtent,
    /// The page is set aside.
    Reserved,
    /// The frame source had none left. That is not the program's doing, and may be over in a moment: the kernel makes room
    /// (`reclaim`), or lets the program wait, and has the instruction run again.
    NoFrame,
    /// The page is the kernel's own.
    KernelPage,
    /// A store, in a view that allows none.
    ReadOnlyView,
    /// An instruction fetch: nothing in an arena is executable.
    NotExecutable,
    /// The page was in the middle of somebody's operation at each of 2^17 faults in a row on this CPU, some 0.1 s. It is not the
    /// program's doing, and it may run again when whoever is in the middle has run: a thread that this CPU has taken off, or
    /// [`reclaim`](crate::Arena::reclaim), which makes a page the arena's again where somebody else had mapped something.
    Busy,
    /// The page is there and the program's to use, and the processor has refused the same access 2^17 times in a row on this CPU,
    /// some 0.1 s. The tables that are loaded do not lead there: the view is of another address space than the program runs in,
    /// or an entry above the view's takes its rights away. A bug of the kernel's.
    Unreachable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "nobody has allocated the page",
            Self::Scratched => "a wild access of the kernel has left the scratch page there",
            Self::OutsideExtent => "the page is not one that can be allocated",
            Self::Reserved => "the page is set aside",
            Self::NoFrame => "there was no frame for the page: make room, and let the program try again",
            Self::KernelPage => "the page is the kernel's own",
            Self::ReadOnlyView => "the view allows no stores",
            Self::NotExecutable => "nothing in an arena is executable",
            Self::Busy => "the page is in the middle of somebody's operation: let others run, and reclaim",
            Self::Unreachable => {
                "the page is there, but the loaded tables do not lead to it by this view: is it another space's?"
            }
        })
    }
}
