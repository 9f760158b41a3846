//! Why a program is not run.

use core::fmt;

/// A program that is not run: which instruction is to blame, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckError {
    /// Its index.
    pub instruction: u32,
    /// What is wrong with it.
    pub refused: Refused,
}

/// A field of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The destination register.
    Dst,
    /// The source register.
    Src,
    /// The offset.
    Offset,
    /// The immediate value.
    Immediate,
}

/// What is wrong with an instruction.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no instruction at all.
    Empty,
    /// There are 2^31 instructions or more.
    TooLong,
    /// No instruction has this opcode.
    UnknownOpcode(u8),
    /// A legacy access to a packet: there is no packet.
    PacketAccess(u8),
    /// A field that means nothing in this instruction is not 0.
    ReservedField(Field),
    /// There are `r0` to `r10`.
    NoSuchRegister(u8),
    /// `r10` would be written.
    WritesFramePointer,
    /// A jump or a call that leads out of the program.
    JumpOutside {
        /// The index of where to.
        target: i64,
    },
    /// A jump or a call into the second half of a 64-bit immediate, or to what is no instruction.
    JumpIntoInstruction {
        /// The index of where to.
        target: i64,
    },
    /// What follows the last instruction would be run.
    RunsOffEnd,
    /// The second half of a 64-bit immediate is missing, or is something else.
    HalfInstruction,
    /// A division or remainder by the immediate value 0.
    DivisionByZero,
    /// The immediate of a byte swap is not 16, 32 or 64.
    SwapWidth(i32),
    /// The immediate of an address cast is neither 1 nor 0x10000.
    UnknownCast(i32),
    /// No atomic of this size is this.
    UnknownAtomic {
        /// Its immediate value.
        operation: i32,
    },
    /// A call of a host function that there is not.
    UnknownHost(u32),
    /// A call of a kind that there is not.
    UnknownCall {
        /// Its source register.
        kind: u8,
    },
    /// A call of an external function whose relocation was not applied.
    UnresolvedCall,
    /// A 64-bit immediate that stands for a map or a variable.
    UnresolvedAddress {
        /// Its source register.
        kind: u8,
    },
    /// A 64-bit immediate that is the address of a function.
    AddressOfCode,
    /// A call of what a register points to (`callx`).
    CallThroughRegister,
    /// A jump to what a register points to (`gotox`).
    JumpThroughRegister,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.instruction, self.refused)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dst => "destination register",
            Self::Src => "source register",
            Self::Offset => "offset",
            Self::Immediate => "immediate value",
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the program is empty: end it with an exit"),
            Self::TooLong => f.write_str("there are too many: split the program"),
            Self::UnknownOpcode(opcode) => {
                write!(f, "opcode {opcode:#04x} is unknown: compile for no more than version 4 of the instruction set")
            }
            Self::PacketAccess(opcode) => {
                write!(
                    f,
                    "opcode {opcode:#04x} looks into a packet, and there is none: copy the packet into the window"
                )
            }
            Self::ReservedField(field) => {
                write!(f, "its {field} means nothing here and is not 0: look for what has changed the code")
            }
            Self::NoSuchRegister(register) => write!(f, "there is no register r{register}: use r0 to r10"),
            Self::WritesFramePointer => f.write_str("it writes r10, the frame pointer: copy that to another register"),
            Self::JumpOutside { target } => {
                write!(
                    f,
                    "it leads to instruction {target}, outside of the program: a jump may be too long for its offset"
                )
            }
            Self::JumpIntoInstruction { target } => {
                write!(f, "it leads to {target}, which is not the start of an instruction: lead it to one")
            }
            Self::RunsOffEnd => f.write_str("the program runs off its end: put a trap behind it (`Insn::TRAP`)"),
            Self::HalfInstruction => {
                f.write_str("the second half of a 64-bit immediate is not there: load the whole program")
            }
            Self::DivisionByZero => f.write_str("it divides by the constant 0: divide by something else"),
            Self::SwapWidth(bits) => write!(f, "bytes of {bits} bits cannot be swapped: use 16, 32 or 64"),
            Self::UnknownCast(cast) => {
                write!(f, "an address cast by {cast:#x} is unknown: the window is address space 1, the kernel's 0")
            }
            Self::UnknownAtomic { operation } => {
                write!(f, "atomic {operation:#x} is unknown for this size: changes want 32 or 64 bits")
            }
            Self::UnknownHost(number) => {
                write!(f, "there is no host function {number}: add it to the table, or load by the table's names")
            }
            Self::UnknownCall { kind } => write!(f, "a call of kind {kind} is unknown: load the object anew"),
            Self::UnresolvedCall => {
                f.write_str("an external function was not resolved: load the object with its relocations")
            }
            Self::UnresolvedAddress { kind } => {
                write!(f, "an address of kind {kind} was not resolved: use variables in place of maps")
            }
            Self::AddressOfCode => f.write_str("it takes the address of a function: call functions by their names"),
            Self::CallThroughRegister => {
                f.write_str("it calls through a register: call functions by their names, or have them inlined")
            }
            Self::JumpThroughRegister => {
                f.write_str("it jumps through a register: compile without jump tables (-fno-jump-tables)")
            }
        }
    }
}

impl core::error::Error for CheckError {}
