//! The numbers of RFC 9669 that instructions are put together from. They are what the check takes instructions
//! apart by; the interpreter matches whole opcodes.

/// Instruction classes: the low three bits (section 3.1).
pub(crate) mod class {
    pub(crate) const LD: u8 = 0x00;
    pub(crate) const LDX: u8 = 0x01;
    pub(crate) const ST: u8 = 0x02;
    pub(crate) const STX: u8 = 0x03;
    pub(crate) const ALU: u8 = 0x04;
    pub(crate) const JMP: u8 = 0x05;
    pub(crate) const JMP32: u8 = 0x06;
    pub(crate) const ALU64: u8 = 0x07;
    pub(crate) const MASK: u8 = 0x07;
}

/// The second operand is the source register, not the immediate (section 4).
pub(crate) const X: u8 = 0x08;

/// Arithmetic: the high four bits (section 4.1).
pub(crate) mod alu {
    pub(crate) const DIV: u8 = 0x30;
    pub(crate) const NEG: u8 = 0x80;
    pub(crate) const MOD: u8 = 0x90;
    pub(crate) const MOV: u8 = 0xb0;
    pub(crate) const END: u8 = 0xd0;
}

/// Jumps: the high four bits (section 4.3); `COND` is Linux's `may_goto`.
pub(crate) mod jump {
    pub(crate) const JA: u8 = 0x00;
    pub(crate) const CALL: u8 = 0x80;
    pub(crate) const EXIT: u8 = 0x90;
    pub(crate) const COND: u8 = 0xe0;
}

/// How memory is accessed: the high three bits (section 5).
pub(crate) mod mode {
    pub(crate) const MEM: u8 = 0x60;
    pub(crate) const MEMSX: u8 = 0x80;
    pub(crate) const ATOMIC: u8 = 0xc0;
}

/// How many bytes: bits 3 and 4 (section 5).
pub(crate) mod size {
    pub(crate) const W: u8 = 0x00;
    pub(crate) const H: u8 = 0x08;
    pub(crate) const B: u8 = 0x10;
    pub(crate) const DW: u8 = 0x18;
}

/// What an atomic does: its immediate (section 5.3; the last two are later than the RFC).
pub(crate) mod atomic {
    pub(crate) const ADD: i32 = 0x00;
    pub(crate) const OR: i32 = 0x40;
    pub(crate) const AND: i32 = 0x50;
    pub(crate) const XOR: i32 = 0xa0;
    pub(crate) const FETCH: i32 = 0x01;
    pub(crate) const EXCHANGE: i32 = 0xe1;
    pub(crate) const COMPARE_EXCHANGE: i32 = 0xf1;
    pub(crate) const LOAD_ACQUIRE: i32 = 0x100;
    pub(crate) const STORE_RELEASE: i32 = 0x110;
}

/// What a call's source register says (section 4.3.1): functions by number, of the program's own, by the kernel's type.
pub(crate) mod call {
    pub(crate) const HOST: u8 = 0;
    pub(crate) const LOCAL: u8 = 1;
    pub(crate) const KERNEL: u8 = 2;
}

/// The immediate of a `mov` with offset 1: which way an address goes.
pub(crate) mod cast {
    pub(crate) const OFFSET: i16 = 1;
    pub(crate) const TO_KERNEL: i32 = 1;
    pub(crate) const TO_PROGRAM: i32 = 0x1_0000;
}

/// The 64-bit immediate, of two slots (section 5.4).
pub(crate) const LDDW: u8 = class::LD | size::DW;
/// An unconditional jump by the offset.
pub(crate) const JA: u8 = class::JMP | jump::JA;
/// An unconditional jump by the immediate.
pub(crate) const GOTOL: u8 = class::JMP32 | jump::JA;
/// A jump to what a register says, which there is none of here.
pub(crate) const GOTOX: u8 = class::JMP | jump::JA | X;
/// A call.
pub(crate) const CALL: u8 = class::JMP | jump::CALL;
/// A call of what a register says, which there is none of here.
pub(crate) const CALLX: u8 = class::JMP | jump::CALL | X;
/// The end of a function.
pub(crate) const EXIT: u8 = class::JMP | jump::EXIT;
/// A jump if the budget is spent.
pub(crate) const MAY_GOTO: u8 = class::JMP | jump::COND;
