//! Operations on a pool from any bytes: what the fuzz target `pool` plays.

use arbitrary::{Result, Unstructured};

use super::model::{Task, play};
use crate::fuzzed::{Shown, one_in, sequence};

const MOST: usize = 120;

/// Plays the operations that the bytes come to.
pub(crate) fn tasks(bytes: &[u8]) {
    let Ok(tasks) = sequence(&mut Unstructured::new(bytes), MOST, task) else { return };
    let shown = Shown(tasks);
    play(&shown.0);
}

fn task(from: &mut Unstructured) -> Result<Task> {
    Ok(match from.int_in_range(0..=18_u8)? {
        0..8 => {
            let bits = if one_in(from, 4)? { from.int_in_range(0..=12_u32)? } else { 3 };
            Task::Alloc { size: size(from)?, align: 1 << bits }
        }
        8..14 => Task::Free(from.arbitrary::<u8>()?.into()),
        14..17 => Task::Near {
            block: from.arbitrary::<u8>()?.into(),
            by: match from.int_in_range(0..=3_u8)? {
                0 | 1 => 8 * from.int_in_range(-40..=40)?,
                2 => 0,
                _ => from.int_in_range(-5000..=5000)?,
            },
            size_by: match from.int_in_range(0..=3_u8)? {
                0 | 1 => from.int_in_range(-16..=16)?,
                2 => 0,
                _ => from.int_in_range(-5000..=5000)?,
            },
        },
        17 => Task::Wild { at: from.int_in_range(0..=70 << 12)?, size: size(from)? },
        _ => Task::Shrink,
    })
}

fn size(from: &mut Unstructured) -> Result<usize> {
    match from.int_in_range(0..=8_u8)? {
        0..6 => from.int_in_range(1..=300),
        6 | 7 => from.int_in_range(300..=4200),
        _ => from.int_in_range(4200..=30_000),
    }
}
