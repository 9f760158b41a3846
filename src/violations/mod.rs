//! The record of violations: what was done that should not have been, by whom, and where.
//!
//! Any context may write to it, also one that interrupted another writer, and anyone may drain it; how it stays whole without a
//! lock is in `ring`. What does not fit is counted all the same.
//!
//! A violation is made in three ways: the fault path had to put the scratch page somewhere; an allocator or a free refused what
//! it was given; or whoever runs a program's bytecode found a hole for it, and says so ([`ProgramHole`]). Of the first, a page that holds
//! scratch hides all that follow until it is healed; of the last, each is seen.

use core::fmt;

use crate::addr::KernelAddr;
use crate::fault::{Access, InstructionAddr};
use crate::misuse::Misuse;
use crate::platform::CpuId;
use crate::programs::ProgramId;

mod hole;
mod offence;
mod ring;

pub use hole::{Bytecode, ProgramHole};
pub(crate) use offence::Offence;
pub use ring::VIOLATION_CAPACITY;
pub(crate) use ring::{RING_WORDS, ViolationRing};

/// What was done.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViolationKind {
    /// A load from a page that is not there.
    Read,
    /// A store to a page that is not there; of bytecode, an atomic that reads and writes, too.
    Write,
    /// A free of pages that was refused, for whichever reason of [`FreeError`](crate::FreeError), or of which another free took
    /// some: the address is that which was passed.
    InvalidFree,
    /// An allocator on this arena refused a free, or found a sign of misuse, and which.
    Object(Misuse),
}

impl ViolationKind {
    const fn of(access: Access) -> Self {
        match access {
            Access::Read => Self::Read,
            Access::Write => Self::Write,
        }
    }

    const fn code(self) -> u64 {
        match self {
            Self::Read => 0,
            Self::Write => 1,
            Self::InvalidFree => 2,
            Self::Object(misuse) => FIRST_MISUSE + misuse.code(),
        }
    }

    fn from_code(code: u64) -> Self {
        match code {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::InvalidFree,
            code => Self::Object(Misuse::from_code(code - FIRST_MISUSE)),
        }
    }
}

/// The code of the first [`ViolationKind::Object`].
const FIRST_MISUSE: u64 = 3;

/// An access that needed the scratch page or found a hole, or an invalid free.
///
/// ```
/// use kernel_arena::platform::CpuId;
/// use kernel_arena::{Bytecode, InstructionAddr, KernelAddr, ProgramId, Violation, ViolationKind};
/// let violation = Violation {
///     address: KernelAddr::new(0xffff_9000_0012_3458),
///     kind: ViolationKind::Read,
///     instruction: InstructionAddr::new(0x11_6280),
///     bytecode: None,
///     cpu: Some(CpuId::new(0)),
///     program: None,
///     sequence: 0,
/// };
/// assert_eq!(violation.to_string(), "wild read at 0xffff900000123458 by 0x116280 on CPU 0");
///
/// let violation = Violation {
///     kind: ViolationKind::Write,
///     instruction: InstructionAddr::new(0),
///     bytecode: Some(Bytecode { instruction: 17, bytes: 8 }),
///     program: ProgramId::new(3),
///     ..violation
/// };
/// assert_eq!(
///     violation.to_string(),
///     "wild write of 8 bytes at 0xffff900000123458 by instruction 17 on CPU 0 for program 3",
/// );
/// ```
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The exact address that was accessed, or the start of what was freed.
    pub address: KernelAddr,
    /// What was done.
    pub kind: ViolationKind,
    /// The instruction of the kernel's that made the access; 0 for a free, and for bytecode.
    pub instruction: InstructionAddr,
    /// Where in a program's bytecode the access was made, if it was ([`Arena::record_hole`](crate::Arena::record_hole)).
    pub bytecode: Option<Bytecode>,
    /// On which CPU, if the kernel knew.
    pub cpu: Option<CpuId>,
    /// For which program the CPU worked, if somebody said so ([`Arena::work_for`](crate::Arena::work_for), or the hole itself).
    pub program: Option<ProgramId>,
    /// Counts the arena's violations from 0, those that were lost included: a gap says how many.
    pub sequence: u64,
}

impl Violation {
    fn write_access(&self, f: &mut fmt::Formatter<'_>, what: &str) -> fmt::Result {
        let address = self.address;
        match self.bytecode {
            Some(Bytecode { instruction, bytes }) => {
                let plural = if bytes == 1 { "" } else { "s" };
                write!(f, "wild {what} of {bytes} byte{plural} at {address} by instruction {instruction}")
            }
            None => write!(f, "wild {what} at {address} by {:#x}", self.instruction.value()),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.kind {
            ViolationKind::Read => self.write_access(f, "read"),
            ViolationKind::Write => self.write_access(f, "write"),
            ViolationKind::InvalidFree => write!(f, "invalid free of {address}"),
            ViolationKind::Object(misuse) => write!(f, "misuse at {address}: {misuse}"),
        }?;
        if let Some(cpu) = self.cpu {
            write!(f, " on CPU {}", cpu.number())?;
        }
        match self.program {
            Some(program) => write!(f, " for program {}", program.number()),
            None => Ok(()),
        }
    }
}
