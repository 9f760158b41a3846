//! Reports: how a run ended, or where a hole was, for a person who wants to mend the program.
//!
//! A report is put together from what is at hand, and prints what it has: of an object that was loaded the function and, if it
//! was compiled with `-g`, the line; of the arena what is at the place. It allocates nothing, so a kernel prints it wherever it
//! prints. Nothing of a program's own text gets to the console as it is (see [`Name`](crate::object::Name)).

mod found;

use core::fmt;

use kernel_arena::arch::Arch;
use kernel_arena::{Access, Arena, ArenaLayout, Platform, ProgramHole, Violation, ViolationKind};

use crate::ended::{Cause, Ended, Reason};
use crate::object::Loaded;

pub use found::Found;

/// A report, to be printed. It has several lines, and ends without a line break.
#[derive(Clone, Copy, Debug)]
pub struct Report<'r> {
    name: &'r str,
    ended: Option<&'r Ended>,
    hole: Option<ProgramHole>,
    loaded: Option<&'r Loaded<'r>>,
    found: Option<Found>,
}

impl<'r> Report<'r> {
    /// On the end of a run of the program with this name: of the hole that ended it, or else the first.
    pub const fn new(name: &'r str, ended: &'r Ended) -> Self {
        let hole = match ended.result {
            Err(Reason::Stopped(Cause::Hole(hole)) | Reason::Ejected(Cause::Hole(hole))) => Some(hole),
            _ => ended.first_hole,
        };
        Self { name, ended: Some(ended), hole, loaded: None, found: None }
    }

    /// On a hole alone.
    pub const fn of_hole(name: &'r str, hole: ProgramHole) -> Self {
        Self { name, ended: None, hole: Some(hole), loaded: None, found: None }
    }

    /// On a violation that was taken out of the record of an arena with this layout; `None` unless it is of bytecode.
    pub const fn of_violation(name: &'r str, violation: &Violation, layout: &ArenaLayout) -> Option<Self> {
        let access = match violation.kind {
            ViolationKind::Read => Access::Read,
            ViolationKind::Write => Access::Write,
            _ => return None,
        };
        let Some(bytecode) = violation.bytecode else { return None };
        // The guards are near: the difference has few bits, with its sign.
        let offset = violation.address.value().wrapping_sub(layout.base().value()) as i64;
        let (program, instruction, bytes) = (violation.program, bytecode.instruction, bytecode.bytes);
        Some(Self::of_hole(name, ProgramHole { program, instruction, offset, access, bytes }))
    }

    /// The same with functions and lines of the object that the program is from.
    #[must_use]
    pub const fn with_object(self, loaded: &'r Loaded<'r>) -> Self {
        Self { loaded: Some(loaded), ..self }
    }

    /// The same with what the arena has at the place of the hole, as it is now. Context: *any*.
    #[must_use]
    pub fn with_arena<P: Platform, A: Arch>(self, arena: &Arena<P, A>) -> Self {
        let found = self.hole.map(|hole| Found::by(arena, hole.offset, hole.bytes));
        Self { found, ..self }
    }

    /// What is at the place of the hole, if the arena was asked.
    pub const fn found(&self) -> Option<Found> {
        self.found
    }

    /// Where an instruction is.
    fn write_place(&self, f: &mut fmt::Formatter<'_>, instruction: u32) -> fmt::Result {
        write!(f, "instruction {instruction}")?;
        let Some(loaded) = self.loaded else { return Ok(()) };
        if let Some(symbol) = loaded.symbol(instruction) {
            write!(f, ", {}+{}", symbol.name, symbol.offset)?;
        }
        let Some(line) = loaded.line(instruction) else { return Ok(()) };
        write!(f, ", {}:{}", line.file, line.line)?;
        if line.text.is_none() { Ok(()) } else { write!(f, ": {}", line.text) }
    }

    fn write_hole(&self, f: &mut fmt::Formatter<'_>, hole: &ProgramHole) -> fmt::Result {
        let access = match hole.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        let (sign, offset) = (if hole.offset < 0 { "-" } else { "" }, hole.offset.unsigned_abs());
        let (bytes, plural) = (hole.bytes, if hole.bytes == 1 { "" } else { "s" });
        write!(f, "\n  {access} of {bytes} byte{plural} at offset {sign}{offset:#x}")?;
        if let Some(found) = self.found {
            write!(f, ": {found}")?;
        }
        f.write_str("\n    by ")?;
        self.write_place(f, hole.instruction)
    }

    fn write_end(&self, f: &mut fmt::Formatter<'_>, ended: &Ended) -> fmt::Result {
        match &ended.result {
            Ok(value) => write!(f, "returned {value:#x}")?,
            Err(Reason::Stopped(Cause::Hole(_))) => f.write_str("stopped at a hole")?,
            Err(Reason::Ejected(Cause::Hole(_))) => f.write_str("thrown out at a hole")?,
            Err(reason) => write!(f, "{reason}")?,
        }
        write!(f, ", after {} instructions", ended.spent)?;
        match ended.holes {
            0 => Ok(()),
            1 => f.write_str(" and 1 hole"),
            holes => write!(f, " and {holes} holes"),
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {}", self.name)?;
        if let Some(program) = self.hole.and_then(|hole| hole.program) {
            write!(f, " ({})", program.number())?;
        }
        match self.ended {
            Some(ended) => {
                f.write_str(": ")?;
                self.write_end(f, ended)?;
            }
            None => f.write_str(" met a hole")?,
        }
        if let Some(hole) = &self.hole {
            self.write_hole(f, hole)?;
        }
        let Some(ended) = self.ended else { return Ok(()) };
        let shown = self.hole.is_some_and(|hole| hole.instruction == ended.instruction);
        if !shown {
            f.write_str("\n  ended at ")?;
            self.write_place(f, ended.instruction)?;
        }
        for (number, register) in ended.registers.iter().enumerate() {
            let start = if number % 3 == 0 { "\n " } else { "" };
            let blank = if number < 10 { " " } else { "" };
            write!(f, "{start}{blank} r{number} {register:016x}")?;
        }
        Ok(())
    }
}
