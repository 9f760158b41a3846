//! A violation in the words of a record: what is known of it is put together where it happens, so that little is left to do.
//!
//! The first word is the address. The second is that of the instruction, or a program's instruction in 31:0 and the size of its
//! access in 39:32. The last has the kind in 7:0; the CPU in 23:8, or `NO_CPU`; whether it is a program's instruction in
//! 25; the program in 63:32.

use super::{Bytecode, ProgramHole, Violation, ViolationKind};
use crate::addr::KernelAddr;
use crate::fault::{Access, Fault, InstructionAddr};
use crate::platform::CpuId;
use crate::programs::ProgramId;

/// Words of a record.
pub(super) const RECORD_WORDS: usize = 3;

const KIND_MASK: u64 = 0xff;
const CPU_SHIFT: u32 = 8;
const NO_CPU: u64 = 1 << 24;
const BYTECODE: u64 = 1 << 25;
const PROGRAM_SHIFT: u32 = 32;
const BYTES_SHIFT: u32 = 32;

/// What is known of a violation, on no CPU and for no program until it is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offence {
    address: u64,
    instruction: u64,
    rest: u64,
}

impl Offence {
    /// A free that was refused.
    #[inline]
    pub(crate) const fn free(address: KernelAddr, kind: ViolationKind) -> Self {
        Self { address: address.value(), instruction: 0, rest: NO_CPU | kind.code() }
    }

    /// A program's access that found a hole, in the window that starts at `base`.
    pub(crate) const fn hole(hole: &ProgramHole, base: KernelAddr) -> Self {
        Self {
            // Both guards are named, too.
            address: base.value().wrapping_add_signed(hole.offset),
            instruction: hole.instruction as u64 | (hole.bytes as u64) << BYTES_SHIFT,
            rest: NO_CPU | BYTECODE | ViolationKind::of(hole.access).code(),
        }
    }

    /// It happened on this CPU, if it is known.
    #[inline]
    pub(crate) fn on(self, cpu: Option<CpuId>) -> Self {
        match cpu {
            Some(cpu) => Self { rest: self.rest & !NO_CPU | u64::from(cpu.number()) << CPU_SHIFT, ..self },
            None => self,
        }
    }

    /// It is a program's, if one is known.
    #[inline]
    pub(crate) fn of(self, program: Option<ProgramId>) -> Self {
        let program = program.map_or(0, |program| u64::from(program.number()));
        Self { rest: self.rest | program << PROGRAM_SHIFT, ..self }
    }

    #[inline]
    pub(super) const fn from_words([address, instruction, rest]: [u64; RECORD_WORDS]) -> Self {
        Self { address, instruction, rest }
    }

    #[inline]
    pub(super) const fn words(self) -> [u64; RECORD_WORDS] {
        [self.address, self.instruction, self.rest]
    }
}

impl From<&Fault> for Offence {
    #[inline]
    fn from(fault: &Fault) -> Self {
        let kind = fault.access as u64;
        let (address, instruction) = (fault.address.value(), fault.instruction.value());
        Self { address, instruction, rest: NO_CPU | kind }
    }
}

// An access is its kind's code.
const _: () = assert!(ViolationKind::of(Access::Read).code() == Access::Read as u64);
const _: () = assert!(ViolationKind::of(Access::Write).code() == Access::Write as u64);

impl Violation {
    /// What a record says.
    pub(super) fn from_words([address, instruction, rest]: [u64; RECORD_WORDS], sequence: u64) -> Self {
        let bytecode = (rest & BYTECODE != 0).then_some(Bytecode {
            instruction: (instruction & 0xffff_ffff) as u32,
            bytes: (instruction >> BYTES_SHIFT & 0xff) as u8,
        });
        Self {
            address: KernelAddr::new(address),
            kind: ViolationKind::from_code(rest & KIND_MASK),
            instruction: InstructionAddr::new(if bytecode.is_none() { instruction } else { 0 }),
            bytecode,
            cpu: (rest & NO_CPU == 0).then(|| CpuId::new((rest >> CPU_SHIFT & 0xffff) as u16)),
            program: ProgramId::new((rest >> PROGRAM_SHIFT) as u32),
            sequence,
        }
    }
}
