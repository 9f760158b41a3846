//! Lives of a heap from any bytes: what the fuzz target `heap` plays, on pages that come zeroed or not.

use arbitrary::{Result, Unstructured};

use super::lives::{Turn, play};
use crate::fuzzed::{Shown, one_in, sequence};

const MOST: usize = 100;

/// Plays the life that the bytes come to.
pub(crate) fn life(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(zeroed) = bytes.arbitrary() else { return };
    let Ok(turns) = sequence(&mut bytes, MOST, turn) else { return };
    let _shown = Shown(&turns);
    if zeroed { play::<true>(&turns) } else { play::<false>(&turns) }
}

fn turn(from: &mut Unstructured) -> Result<(Option<u16>, Turn)> {
    let cpu = *from.choose(&[Some(0), Some(0), Some(1), None])?;
    let turn = match from.int_in_range(0..=12_u8)? {
        0..4 => {
            let shift = if one_in(from, 4)? { from.int_in_range(0..=16)? } else { 3 };
            Turn::Alloc { size: size(from)?, align: 1 << shift, zeroed: from.arbitrary()? }
        }
        4..7 => Turn::Realloc { which: which(from)?, size: size(from)? },
        7..11 => Turn::Free { which: which(from)? },
        11 => Turn::Drain,
        _ => Turn::Scarce(from.arbitrary()?),
    };
    Ok((cpu, turn))
}

fn which(from: &mut Unstructured) -> Result<usize> {
    from.arbitrary::<u8>().map(usize::from)
}

fn size(from: &mut Unstructured) -> Result<usize> {
    let bits = from.int_in_range(0..=17_u32)?;
    from.int_in_range(1..=1 << bits)
}
