//! Lives from any bytes: what the fuzz target `slab` plays, on pages of this process or on an arena.

use std::alloc::Layout;

use arbitrary::{Result, Unstructured};
use kernel_arena::arch::aarch64::AArch64;
use kernel_arena::arch::portable::Portable;
use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::slab::LARGEST;

use super::bench::layout;
use super::tasks::{CPUS, How, Place, Step, Turn};
use super::{arena_lives, lives};
use crate::fuzzed::{Shown, one_in, sequence};

const MOST: usize = 60;
/// On an arena: machines are slow.
const MOST_ON_ARENA: usize = 24;

/// Plays the life that the bytes come to, where they say.
pub(crate) fn life(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(place) = bytes.int_in_range(0..=7_u8) else { return };
    let most = if place < 3 { MOST_ON_ARENA } else { MOST };
    let Ok(steps) = sequence(&mut bytes, most, step) else { return };
    let _shown = Shown(&steps);
    match place {
        0 => arena_lives::play::<X86_64>(&steps),
        1 => arena_lives::play::<AArch64>(&steps),
        2 => arena_lives::play::<Portable>(&steps),
        _ => lives::play(&steps),
    }
}

fn step(from: &mut Unstructured) -> Result<Step> {
    let (place, first) = (place(from)?, turn(from)?);
    let interrupt = match from.int_in_range(0..=5_u8)? {
        0 => Some((from.int_in_range(0..=12)?, vec![turn(from)?])),
        1 => Some((from.int_in_range(0..=12)?, vec![turn(from)?, turn(from)?])),
        _ => None,
    };
    Ok(Step { place, turn: first, interrupt })
}

fn place(from: &mut Unstructured) -> Result<Place> {
    let level = from.int_in_range(0..=1)?;
    Ok(match from.int_in_range(0..=CPUS)? {
        CPUS => None,
        cpu => Some((cpu, level)),
    })
}

fn turn(from: &mut Unstructured) -> Result<Turn> {
    Ok(match from.int_in_range(0..=19_u8)? {
        0..9 => {
            let how = *from.choose(&[How::Plain, How::Zeroed, How::Checked])?;
            Turn::Alloc(request(from)?, how, many(from, 150)?)
        }
        9..17 => Turn::Free(from.arbitrary::<u8>()?.into(), many(from, 200)?),
        17 => Turn::Drain,
        18 => Turn::Reclaim,
        _ => Turn::Scarce(from.arbitrary()?),
    })
}

/// One, or some.
fn many(from: &mut Unstructured, most: usize) -> Result<usize> {
    if one_in(from, 3)? { from.int_in_range(1..=most) } else { Ok(1) }
}

/// Sizes of all magnitudes, and the edges of classes; some beyond the largest.
fn request(from: &mut Unstructured) -> Result<Layout> {
    let size = match from.int_in_range(0..=18_u32)? {
        shift @ 0..16 => 1 + (usize::from(from.arbitrary::<u16>()?) & ((1 << shift) - 1)),
        _ => *from.choose(&[8, 9, 64, 65, 4096, 4097, LARGEST - 1, LARGEST])?,
    };
    let shift = if one_in(from, 4)? { from.int_in_range(0..=12)? } else { 3 };
    Ok(layout(size.min(LARGEST), 1 << shift))
}
