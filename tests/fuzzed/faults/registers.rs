//! What the registers of a fault hold: anything, and more often what is near to meaning something.

use arbitrary::{Result, Unstructured};
use kernel_arena::arch::MODEL_TRY;

use super::super::one_in;
use crate::machine::INSTRUCTION;

/// Address, error code or syndrome, instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    pub(super) address: u64,
    pub(super) code: u64,
    pub(super) instruction: u64,
}

/// Of a fault near one of these bases, or anywhere.
pub(super) fn any(from: &mut Unstructured, bases: &[u64]) -> Result<Registers> {
    Ok(Registers {
        address: address(from, bases)?,
        code: code(from)?,
        instruction: match from.int_in_range(0..=5_u8)? {
            0 => from.arbitrary()?,
            1 | 2 => MODEL_TRY.value(),
            _ => INSTRUCTION,
        },
    })
}

/// A byte of the extent most often; regions, the guard, what lies outside by a few pages; a tag now and then.
fn address(from: &mut Unstructured, bases: &[u64]) -> Result<u64> {
    if one_in(from, 12)? {
        return from.arbitrary();
    }
    let page = match from.int_in_range(0..=11_u8)? {
        0..7 => from.int_in_range(0..=13)?,
        7 => from.int_in_range(505..=520)?,
        8 => (1 << 18) + from.int_in_range(0..=3_i64)? * 500,
        9 => (1 << 20) + from.int_in_range(-2..=9_i64)?,
        10 => from.int_in_range(-9..=0)?,
        _ => from.arbitrary::<u32>()?.into(),
    };
    let byte = if one_in(from, 3)? { from.int_in_range(0..=4095)? } else { 0 };
    let tag = if one_in(from, 4)? { u64::from(from.arbitrary::<u8>()?) << 56 } else { 0 };
    Ok(from.choose(bases)?.wrapping_add_signed(page << 12).wrapping_add(byte) ^ tag)
}

/// A few bits; a class, a status and some flags of a syndrome; anything.
fn code(from: &mut Unstructured) -> Result<u64> {
    Ok(match from.int_in_range(0..=8_u8)? {
        0 => from.arbitrary()?,
        1 => 1 << from.int_in_range(0..=63)?,
        2 => 1 << from.int_in_range(0..=63)? | from.int_in_range(0..=0x1f)?,
        3 | 4 => from.int_in_range(0..=0x1f)?,
        5 => *from.choose(&[0, 2, 4, 6, 7, 0x14, 0x15])?,
        _ => {
            let class = *from.choose(&[0x25, 0x24, 0x20, 0x21, 0x3f])?;
            let status = if one_in(from, 3)? { from.int_in_range(0..=63)? } else { *from.choose(&[7, 6, 5, 0xf])? };
            let flags = if one_in(from, 3)? { from.arbitrary::<u32>()? & 0x3ff_ffc0 } else { 0 };
            class << 26 | status | u64::from(flags) | u64::from(from.arbitrary::<bool>()?) << 6
        }
    })
}
