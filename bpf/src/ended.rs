//! How a run ended: with a value, or with a reason, and with what a report about it is made of.

use core::fmt;

use kernel_arena::access::Width;
use kernel_arena::{Access, ProgramHole};

/// How a run ended.
#[must_use = "a run may have ended for a reason that the kernel should act on"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The program's `r0`; else why it did not come so far.
    pub result: Result<u64, Reason>,
    /// The index of the last instruction.
    pub instruction: u32,
    /// `r0` to `r10` at the end.
    pub registers: [u64; 11],
    /// How many instructions were spent (see [`Budget`](crate::Budget)).
    pub spent: u64,
    /// How many accesses found no page.
    pub holes: u64,
    /// The first of them.
    pub first_hole: Option<ProgramHole>,
}

impl Ended {
    /// The program's value, if it came to its end.
    pub fn value(&self) -> Option<u64> {
        self.result.ok()
    }
}

/// Why a run ended before the program did.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The budget is spent: the program loops, or has too much to do.
    OutOfBudget,
    /// [`Insn::TRAP`](crate::Insn::TRAP): the program gave up, called a function that is not there, or ran off the end of its code.
    Trap,
    /// A call for which there is no frame left: the program recurs, or its stack is too small.
    TooDeep,
    /// An atomic at an offset that is no multiple of its size, which no processor need be able to do.
    Misaligned {
        /// Where, from the start of the window.
        offset: i64,
        /// How many bytes.
        width: Width,
    },
    /// This run was to end.
    Stopped(Cause),
    /// The program is to be thrown out, and whatever belongs to it: who runs it has to see to that.
    Ejected(Cause),
    /// The entry is another program's: nothing was run.
    NoSuchEntry,
}

/// Who wanted it so.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The policy on holes, because of this one.
    Hole(ProgramHole),
    /// A host function.
    Host {
        /// Its number.
        number: u32,
        /// What it says: the kernel's own.
        code: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBudget => f.write_str("its budget is spent"),
            Self::Trap => f.write_str("it came to a trap, or called a function that is not there"),
            Self::TooDeep => f.write_str("it called deeper than its stack has frames"),
            Self::Misaligned { offset, width } => {
                let (sign, offset, bytes) = (sign(*offset), offset.unsigned_abs(), width.bytes());
                write!(f, "an atomic of {bytes} bytes at offset {sign}{offset:#x}, which is no multiple of that")
            }
            Self::Stopped(cause) => write!(f, "stopped: {cause}"),
            Self::Ejected(cause) => write!(f, "ejected: {cause}"),
            Self::NoSuchEntry => f.write_str("the entry is not one of this program: ask this program for it"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole(hole) => {
                let what = match hole.access {
                    Access::Read => "read",
                    Access::Write => "write",
                };
                let (sign, offset, bytes) = (sign(hole.offset), hole.offset.unsigned_abs(), hole.bytes);
                write!(f, "{what} of {bytes} bytes at offset {sign}{offset:#x}, where there is no page")
            }
            Self::Host { number, code } => write!(f, "host function {number} said so, with {code:#x}"),
        }
    }
}

const fn sign(offset: i64) -> &'static str {
    if offset < 0 { "-" } else { "" }
}

impl core::error::Error for Reason {}
