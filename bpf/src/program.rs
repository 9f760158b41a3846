//! A program that has passed the check, and where it may be entered.

use core::fmt;

use crate::check::{CheckError, check, is_start};
use crate::hosts::Hosts;
use crate::insn::Insn;

/// A program. Holding one proves that its instructions have passed the check, together with these host functions; they are
/// borrowed, and nobody can change them meanwhile.
pub struct Program<'a, S> {
    code: &'a [Insn],
    hosts: Hosts<'a, S>,
}

/// Where a program is entered: an instruction of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry(u32);

impl<'a, S> Program<'a, S> {
    /// The program that these instructions are, if they pass the check. It takes time in proportion to their number.
    ///
    /// # Errors
    /// [`CheckError`]: which instruction is refused, and why.
    pub fn check(code: &'a [Insn], hosts: Hosts<'a, S>) -> Result<Self, CheckError> {
        check(code, &hosts)?;
        Ok(Self { code, hosts })
    }

    /// The entry at the instruction with this index; `None` if there is none, or if it is the second half of one.
    pub fn entry(&self, index: u32) -> Option<Entry> {
        let insn = self.code.get(index as usize)?;
        is_start(*insn).then_some(Entry(index))
    }

    /// The entry at the first instruction.
    pub const fn start(&self) -> Entry {
        Entry(0)
    }

    /// Its instructions.
    pub const fn code(&self) -> &'a [Insn] {
        self.code
    }

    /// The functions that it may call.
    pub const fn hosts(&self) -> Hosts<'a, S> {
        self.hosts
    }
}

impl Entry {
    /// The index of its instruction.
    pub const fn index(self) -> u32 {
        self.0
    }
}

// Not derived: a derive would ask the same of `S`.
impl<S> Clone for Program<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Program<'_, S> {}

impl<S> fmt::Debug for Program<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("instructions", &self.code.len()).field("hosts", &self.hosts).finish()
    }
}
