//! What is asked for, with which numbers.

use arbitrary::{Result, Unstructured};
use kernel_arena::Context;

use super::super::one_in;
use super::PAGES;

#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Alloc {
        at: u64,
        pages: u64,
        context: Context,
    },
    Free {
        at: u64,
        pages: u64,
        context: Context,
    },
    Reserve {
        at: u64,
        pages: u64,
    },
    Load {
        at: u64,
    },
    TryLoad {
        at: u64,
    },
    TryStore {
        at: u64,
        value: u64,
    },
    CopyIn {
        at: u64,
        bytes: usize,
    },
    CopyOut {
        at: u64,
        bytes: usize,
    },
    Add {
        at: u64,
        value: u64,
    },
    Slice {
        at: u64,
        len: u32,
        index: u32,
    },
    /// Headers are written there first, where a program could.
    Masks {
        at: [u64; 2],
        headers: [[u32; 3]; 2],
        ids: u32,
        id: u16,
        change: u8,
    },
    Hole {
        offset: i64,
        bytes: u8,
        instruction: u32,
    },
    Object {
        size: usize,
    },
    FreeObject {
        at: Pointer,
    },
    Block {
        size: usize,
    },
    FreeBlock {
        at: Pointer,
        size: usize,
    },
    Reclaim,
}

/// A number, or what was given, with something added.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pointer {
    Number(u64),
    Given { which: usize, and: u64 },
}

pub(super) fn call(from: &mut Unstructured) -> Result<Call> {
    Ok(match from.int_in_range(0..=23_u8)? {
        0..4 => Call::Alloc { at: address(from)?, pages: number(from)?, context: context(from)? },
        4..7 => Call::Free { at: address(from)?, pages: number(from)?, context: context(from)? },
        7 => Call::Reserve { at: address(from)?, pages: number(from)? },
        8 => Call::Load { at: address(from)? },
        9 => Call::TryLoad { at: address(from)? },
        10 => Call::TryStore { at: address(from)?, value: from.arbitrary()? },
        11 => Call::CopyIn { at: address(from)?, bytes: length(from)? },
        12 => Call::CopyOut { at: address(from)?, bytes: length(from)? },
        13 => Call::Add { at: address(from)?, value: from.arbitrary()? },
        14 => Call::Slice { at: address(from)?, len: word(from)?, index: word(from)? },
        15 | 16 => Call::Masks {
            at: [address(from)?, address(from)?],
            headers: [header(from)?, header(from)?],
            ids: *from.choose(&[64, 100, 300, 512, 8192])?,
            id: from.int_in_range(0..=600)?,
            change: from.int_in_range(0..=5)?,
        },
        17 => Call::Hole { offset: from.arbitrary()?, bytes: from.arbitrary()?, instruction: from.arbitrary()? },
        18 => Call::Object { size: size(from)? },
        19 => Call::FreeObject { at: pointer(from)? },
        20 => Call::Block { size: size(from)? },
        21 | 22 => Call::FreeBlock { at: pointer(from)?, size: size(from)? },
        _ => Call::Reclaim,
    })
}

/// A byte of the extent most often, with anything in its upper half.
fn address(from: &mut Unstructured) -> Result<u64> {
    let upper = if one_in(from, 3)? { u64::from(from.arbitrary::<u32>()?) << 32 } else { 0 };
    let page = u64::from(match from.int_in_range(0..=11_u8)? {
        0 => return from.arbitrary(),
        1 => return Ok(upper),
        2 => from.int_in_range((1 << 20) - 2..=(1 << 20) - 1)?,
        3 => from.int_in_range(0..=1 << 20)?,
        _ => from.int_in_range(0..=PAGES + 2)?,
    });
    let byte = match from.int_in_range(0..=7_u8)? {
        0..4 => 0,
        4 => from.int_in_range(0..=4095_u64)?,
        5 => from.int_in_range(4080..=4095)?,
        _ => 8 * from.int_in_range(0..=511)?,
    };
    Ok(upper | page << 12 | byte)
}

fn pointer(from: &mut Unstructured) -> Result<Pointer> {
    if one_in(from, 3)? {
        return Ok(Pointer::Number(address(from)?));
    }
    let and = if one_in(from, 3)? { u64::from(from.arbitrary::<u8>()?) } else { 0 };
    Ok(Pointer::Given { which: from.arbitrary::<u8>()?.into(), and })
}

fn number(from: &mut Unstructured) -> Result<u64> {
    match from.int_in_range(0..=9_u8)? {
        0 => from.arbitrary(),
        1 => Ok(1 << 32 | u64::from(from.arbitrary::<u8>()?)),
        2 => from.int_in_range(0..=u64::from(PAGES) + 2),
        _ => from.int_in_range(0..=4),
    }
}

fn word(from: &mut Unstructured) -> Result<u32> {
    match from.int_in_range(0..=3_u8)? {
        0 => from.arbitrary(),
        1 => from.int_in_range(0..=8300),
        _ => from.int_in_range(0..=130),
    }
}

fn header(from: &mut Unstructured) -> Result<[u32; 3]> {
    Ok([word(from)?, word(from)?, word(from)?])
}

fn length(from: &mut Unstructured) -> Result<usize> {
    if one_in(from, 3)? { from.int_in_range(0..=9000) } else { from.int_in_range(0..=64) }
}

fn size(from: &mut Unstructured) -> Result<usize> {
    match from.int_in_range(0..=9_u8)? {
        0 => from.int_in_range(0..=20_000),
        1 => from.arbitrary(),
        _ => from.int_in_range(0..=300),
    }
}

fn context(from: &mut Unstructured) -> Result<Context> {
    Ok(*from.choose(&[Context::MayWait, Context::Any])?)
}
