//! What is looked at before a program runs, once, from its first instruction to its last: nothing here follows a path.
//!
//! That is enough, for what a verifier would prove beyond it is harmless here. Looked at is what the runner takes for granted:
//! that it knows each instruction and each field of it, that registers are those that there are, that `r10` is never written,
//! that each jump and call leads to the start of an instruction of the same program or to a function that the kernel has, and
//! that nothing leads off the end. Not looked at is what a program computes, where it loads and stores, whether it ends, and
//! what a register held before.

mod refused;

pub use refused::{CheckError, Field, Refused};

use crate::hosts::{Hosts, TRAP};
use crate::insn::Insn;
use crate::opcode::{
    CALL, CALLX, EXIT, GOTOL, GOTOX, JA, LDDW, MAY_GOTO, X, alu, atomic, call, cast, class, jump, mode, size,
};

/// The frame pointer, which is read alone.
const R10: u8 = 10;

/// Checks all of a program's instructions.
pub(crate) fn check<S>(code: &[Insn], hosts: &Hosts<'_, S>) -> Result<(), CheckError> {
    let refuse = |at: usize, refused| Err(CheckError { instruction: u32::try_from(at).unwrap_or(u32::MAX), refused });
    let Some(last) = code.last() else { return refuse(0, Refused::Empty) };
    if i32::try_from(code.len()).is_err() {
        return refuse(code.len(), Refused::TooLong);
    }
    let mut at = 0;
    while let Some(insn) = code.get(at) {
        let slots = if insn.opcode() == LDDW { 2 } else { 1 };
        if let Err(refused) = one(code, at, *insn, hosts) {
            return refuse(at, refused);
        }
        at += slots;
    }
    // The second half of a `lddw` is never taken for a jump: its opcode is 0.
    if is_last(*last) { Ok(()) } else { refuse(code.len() - 1, Refused::RunsOffEnd) }
}

/// Whether an instruction is the start of one: the second half of a `lddw` is not, nor is anything else with opcode 0.
pub(crate) fn is_start(insn: Insn) -> bool {
    insn.opcode() != 0
}

/// Whether nothing comes behind an instruction in the order of execution.
fn is_last(insn: Insn) -> bool {
    match insn.opcode() {
        JA | GOTOL | EXIT => true,
        CALL => insn.src() != call::LOCAL && insn.immediate() as u32 == TRAP,
        _ => false,
    }
}

fn one<S>(code: &[Insn], at: usize, insn: Insn, hosts: &Hosts<'_, S>) -> Result<(), Refused> {
    match insn.opcode() {
        // These by name, for compilers do make them.
        CALLX => return Err(Refused::CallThroughRegister),
        GOTOX => return Err(Refused::JumpThroughRegister),
        _ => {}
    }
    for register in [insn.dst(), insn.src()] {
        if register > R10 {
            return Err(Refused::NoSuchRegister(register));
        }
    }
    match insn.opcode() & class::MASK {
        class::LD => wide(code, at, insn),
        class::LDX => load(insn),
        class::ST | class::STX => store(insn),
        class::ALU | class::ALU64 => arithmetic(insn),
        _ => control(code, at, insn, hosts),
    }
}

fn unknown(insn: Insn) -> Result<(), Refused> {
    Err(Refused::UnknownOpcode(insn.opcode()))
}

/// Fields that mean nothing in an instruction must be 0, or it means something else to somebody.
fn zero(insn: Insn, fields: &[Field]) -> Result<(), Refused> {
    let is_zero = |field: &&Field| match field {
        Field::Dst => insn.dst() == 0,
        Field::Src => insn.src() == 0,
        Field::Offset => insn.offset() == 0,
        Field::Immediate => insn.immediate() == 0,
    };
    match fields.iter().find(|field| !is_zero(field)) {
        Some(field) => Err(Refused::ReservedField(*field)),
        None => Ok(()),
    }
}

fn writes(register: u8) -> Result<(), Refused> {
    if register == R10 { Err(Refused::WritesFramePointer) } else { Ok(()) }
}

/// The second operand is one: what the other could be is 0.
fn operand(insn: Insn) -> Result<(), Refused> {
    zero(insn, if insn.opcode() & X == 0 { &[Field::Src] } else { &[Field::Immediate] })
}

/// The 64-bit immediate.
fn wide(code: &[Insn], at: usize, insn: Insn) -> Result<(), Refused> {
    /// The old ways to look into a packet: absolute and indirect.
    const PACKET: [u8; 2] = [0x20, 0x40];
    if insn.opcode() != LDDW {
        let is_packet = PACKET.contains(&(insn.opcode() & 0xe0)) && insn.opcode() & 0x18 != size::DW;
        return if is_packet { Err(Refused::PacketAccess(insn.opcode())) } else { unknown(insn) };
    }
    writes(insn.dst())?;
    match insn.src() {
        0 => {}
        4 => return Err(Refused::AddressOfCode),
        kind => return Err(Refused::UnresolvedAddress { kind }),
    }
    zero(insn, &[Field::Offset])?;
    let second = *code.get(at + 1).ok_or(Refused::HalfInstruction)?;
    if second.with_immediate(0) == Insn::default() { Ok(()) } else { Err(Refused::HalfInstruction) }
}

fn load(insn: Insn) -> Result<(), Refused> {
    match (insn.opcode() & 0xe0, insn.opcode() & 0x18) {
        (mode::MEM, _) | (mode::MEMSX, size::W | size::H | size::B) => {}
        _ => return unknown(insn),
    }
    writes(insn.dst())?;
    zero(insn, &[Field::Immediate])
}

fn store(insn: Insn) -> Result<(), Refused> {
    match (insn.opcode() & class::MASK, insn.opcode() & 0xe0) {
        (class::ST, mode::MEM) => zero(insn, &[Field::Src]),
        (class::STX, mode::MEM) => zero(insn, &[Field::Immediate]),
        (class::STX, mode::ATOMIC) => atomically(insn),
        _ => unknown(insn),
    }
}

fn atomically(insn: Insn) -> Result<(), Refused> {
    const ADD_FETCH: i32 = atomic::ADD | atomic::FETCH;
    const OR_FETCH: i32 = atomic::OR | atomic::FETCH;
    const AND_FETCH: i32 = atomic::AND | atomic::FETCH;
    const XOR_FETCH: i32 = atomic::XOR | atomic::FETCH;
    let is_word = matches!(insn.opcode() & 0x18, size::W | size::DW);
    match insn.immediate() {
        atomic::LOAD_ACQUIRE => writes(insn.dst()),
        atomic::STORE_RELEASE => Ok(()),
        operation if !is_word => Err(Refused::UnknownAtomic { operation }),
        ADD_FETCH | OR_FETCH | AND_FETCH | XOR_FETCH | atomic::EXCHANGE => writes(insn.src()),
        atomic::ADD | atomic::OR | atomic::AND | atomic::XOR | atomic::COMPARE_EXCHANGE => Ok(()),
        operation => Err(Refused::UnknownAtomic { operation }),
    }
}

fn arithmetic(insn: Insn) -> Result<(), Refused> {
    let is_wide = insn.opcode() & class::MASK == class::ALU64;
    let by_register = insn.opcode() & X != 0;
    let not_an_offset = Err(Refused::ReservedField(Field::Offset));
    match insn.opcode() & 0xf0 {
        alu::NEG if !by_register => zero(insn, &[Field::Src, Field::Offset, Field::Immediate])?,
        alu::END if !(is_wide && by_register) => {
            zero(insn, &[Field::Src, Field::Offset])?;
            if !matches!(insn.immediate(), 16 | 32 | 64) {
                return Err(Refused::SwapWidth(insn.immediate()));
            }
        }
        alu::NEG | alu::END | 0xe0.. => return unknown(insn),
        alu::MOV => match insn.offset() {
            0 => operand(insn)?,
            cast::OFFSET if is_wide && by_register => match insn.immediate() {
                cast::TO_KERNEL | cast::TO_PROGRAM => {}
                immediate => return Err(Refused::UnknownCast(immediate)),
            },
            8 | 16 if by_register => operand(insn)?,
            32 if by_register && is_wide => operand(insn)?,
            _ => return not_an_offset,
        },
        alu::DIV | alu::MOD => {
            operand(insn)?;
            if !matches!(insn.offset(), 0 | 1) {
                return not_an_offset;
            }
            if !by_register && insn.immediate() == 0 {
                return Err(Refused::DivisionByZero);
            }
        }
        _ => {
            operand(insn)?;
            zero(insn, &[Field::Offset])?;
        }
    }
    writes(insn.dst())
}

/// Jumps, calls and the end.
fn control<S>(code: &[Insn], at: usize, insn: Insn, hosts: &Hosts<'_, S>) -> Result<(), Refused> {
    let by_offset = target(code, at, insn.offset().into());
    match insn.opcode() {
        JA => zero(insn, &[Field::Dst, Field::Src, Field::Immediate]).and(by_offset),
        MAY_GOTO => zero(insn, &[Field::Dst, Field::Src, Field::Immediate]).and(by_offset),
        GOTOL => {
            zero(insn, &[Field::Dst, Field::Src, Field::Offset])?;
            target(code, at, insn.immediate())
        }
        EXIT => zero(insn, &[Field::Dst, Field::Src, Field::Offset, Field::Immediate]),
        CALL => {
            zero(insn, &[Field::Dst, Field::Offset])?;
            match insn.src() {
                // What a linker has left alone: it would call itself.
                call::LOCAL if insn.immediate() == -1 => Err(Refused::UnresolvedCall),
                call::LOCAL => target(code, at, insn.immediate()),
                call::HOST | call::KERNEL => {
                    let number = insn.immediate() as u32;
                    let is_known = number == TRAP || hosts.find(number).is_some();
                    if is_known { Ok(()) } else { Err(Refused::UnknownHost(number)) }
                }
                kind => Err(Refused::UnknownCall { kind }),
            }
        }
        opcode => match opcode & 0xf0 {
            jump::JA | jump::CALL | jump::EXIT | jump::COND.. => unknown(insn),
            _ => operand(insn).and(by_offset),
        },
    }
}

/// Whether a jump leads to an instruction of the program.
fn target(code: &[Insn], at: usize, by: i32) -> Result<(), Refused> {
    // An index is less than 2^31, and so is what is added: there is no wrap.
    let target = at as i64 + 1 + i64::from(by);
    let found = usize::try_from(target).ok().and_then(|target| code.get(target));
    match found {
        Some(insn) if is_start(*insn) => Ok(()),
        Some(_) => Err(Refused::JumpIntoInstruction { target }),
        None => Err(Refused::JumpOutside { target }),
    }
}
