//! What the runner of a program's bytecode tells the record.

use crate::fault::Access;
use crate::programs::ProgramId;

/// Where in a program an access was made, and how large it was.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bytecode {
    /// The index of the instruction in its program; which symbol and line that is, the program's object says.
    pub instruction: u32,
    /// How many bytes were accessed.
    pub bytes: u8,
}

/// An access of a program's bytecode that found no page. Its runner has dropped the store, or given 0 for the load; the
/// arena records it ([`Arena::record_hole`](crate::Arena::record_hole)).
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramHole {
    /// Whose access it was; `None` for the program that the CPU [works for](crate::Arena::work_for).
    pub program: Option<ProgramId>,
    /// The index of the instruction in its program.
    pub instruction: u32,
    /// Where the access started, in bytes from the start of the window: below 0 in the lower guard, from 4 GiB on in the upper.
    pub offset: i64,
    /// What was done. An atomic that reads and writes is a write.
    pub access: Access,
    /// How many bytes it was to access.
    pub bytes: u8,
}
