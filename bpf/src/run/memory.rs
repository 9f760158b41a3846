//! Where a program's accesses go, and what they come to.
//!
//! An address is the low half of a register and an offset, added with more bits than either has: what is below the window or
//! above it stays there, and nothing wraps around.

use kernel_arena::access::Width;
use kernel_arena::{Access, ProgramHole};

use super::OnHole;
use super::interpreter::Run;
use crate::ended::{Cause, Reason};
use crate::insn::Insn;
use crate::opcode::{atomic, size};
use crate::window::{Change, Window};

/// Where an access goes, from the window's start: -32768 to 4 GiB + 32766.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the upper half of a register says nothing")]
pub(super) fn address(register: u64, offset: i16) -> i64 {
    i64::from(register as u32) + i64::from(offset)
}

/// The same in the window; `None` in the guards.
#[inline(always)]
pub(super) fn in_window(address: i64) -> Option<u32> {
    u32::try_from(address).ok()
}

impl<W: Window, S> Run<'_, '_, W, S> {
    /// An access found no page. Whether that ends the run.
    #[cold]
    #[expect(clippy::cast_possible_truncation, reason = "a width is 8 at most")]
    #[inline(never)]
    pub(super) fn missed(&mut self, at: usize, offset: i64, access: Access, width: Width) -> Option<Reason> {
        let instruction = u32::try_from(at).unwrap_or(u32::MAX);
        let hole = ProgramHole { program: self.runner.id, instruction, offset, access, bytes: width.bytes() as u8 };
        self.holes += 1;
        self.first_hole.get_or_insert(hole);
        self.window.missed(&hole);
        match self.runner.on_hole {
            OnHole::Continue => None,
            OnHole::Stop => Some(Reason::Stopped(Cause::Hole(hole))),
            OnHole::Eject => Some(Reason::Ejected(Cause::Hole(hole))),
        }
    }

    /// Makes an atomic access. Where there is no page it is dropped, and the register that gets what was there gets 0.
    ///
    /// # Errors
    /// Why the run ends.
    #[inline(never)]
    pub(super) fn atomic(&mut self, at: usize, insn: Insn, registers: &mut [u64; 16]) -> Result<(), Reason> {
        let (dst, src) = (usize::from(insn.dst()), usize::from(insn.src()));
        let operation = insn.immediate();
        let pointer = registers[if operation == atomic::LOAD_ACQUIRE { src } else { dst }];
        let offset = address(pointer, insn.offset());
        let width = width(insn);
        if offset.rem_euclid(width.bytes() as i64) != 0 {
            return Err(Reason::Misaligned { offset, width });
        }
        let (value, expected) = (registers[src], registers[0]);
        let before = in_window(offset).and_then(|at| match operation {
            atomic::LOAD_ACQUIRE => self.window.load_acquire(at, width),
            atomic::STORE_RELEASE => self.window.store_release(at, width, value).map(|()| 0),
            _ => changed(self.window, at, width, operation, value, expected),
        });
        let (found, access) = match operation {
            atomic::LOAD_ACQUIRE => (Some(dst), Access::Read),
            atomic::COMPARE_EXCHANGE => (Some(0), Access::Write),
            atomic::STORE_RELEASE => (None, Access::Write),
            _ => ((operation & atomic::FETCH != 0).then_some(src), Access::Write),
        };
        if let Some(register) = found {
            registers[register] = before.unwrap_or(0);
        }
        match before {
            Some(_) => Ok(()),
            None => self.missed(at, offset, access, width).map_or(Ok(()), Err),
        }
    }
}

/// Changes a word, and gives what was there before; of 32 bits, zero-extended.
#[expect(clippy::cast_possible_truncation, reason = "the low half is the operand")]
fn changed<W: Window>(window: &W, at: u32, width: Width, operation: i32, value: u64, expected: u64) -> Option<u64> {
    if width == Width::Eight {
        window.change64(at, change(operation, value, expected))
    } else {
        window.change32(at, change(operation, value as u32, expected as u32)).map(u64::from)
    }
}

fn change<T>(operation: i32, value: T, current: T) -> Change<T> {
    match operation & !atomic::FETCH {
        atomic::ADD => Change::Add(value),
        atomic::OR => Change::Or(value),
        atomic::AND => Change::And(value),
        atomic::XOR => Change::Xor(value),
        CLEARED_EXCHANGE => Change::Exchange(value),
        _ => Change::CompareExchange { current, new: value },
    }
}

/// An exchange, without the bit that says that it fetches.
const CLEARED_EXCHANGE: i32 = atomic::EXCHANGE & !atomic::FETCH;

/// How many bytes an instruction accesses.
fn width(insn: Insn) -> Width {
    match insn.opcode() & 0x18 {
        size::B => Width::One,
        size::H => Width::Two,
        size::W => Width::Four,
        _ => Width::Eight,
    }
}
