//! Lives of groups from any bytes: what the fuzz target `groups` plays.

use arbitrary::{Result, Unstructured};
use kernel_arena::arch::aarch64::AArch64;
use kernel_arena::arch::portable::Portable;
use kernel_arena::arch::x86_64::X86_64;

use super::model::{Init, Slot, Task, play};
use crate::fuzzed::{Shown, one_in, sequence};

const MOST: usize = 80;

/// Plays the tasks that the bytes come to, in the format that they say.
pub(crate) fn tasks(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(format) = bytes.int_in_range(0..=3_u8) else { return };
    let Ok(tasks) = sequence(&mut bytes, MOST, task) else { return };
    let shown = Shown(tasks);
    match format {
        0 => play::<X86_64>(&shown.0),
        1 => play::<AArch64>(&shown.0),
        _ => play::<Portable>(&shown.0),
    }
}

fn task(from: &mut Unstructured) -> Result<Task> {
    let kind = from.int_in_range(0..=35_u8)?;
    let group = from.int_in_range(0..=2)?;
    Ok(match kind {
        0..3 => {
            let slots = [slot(from)?, slot(from)?, slot(from)?, slot(from)?];
            Task::Register { group, slots, budget: violations(from)? }
        }
        3 => Task::Unregister(group),
        4..9 => Task::Enable {
            group,
            ids: if one_in(from, 3)? { from.int_in_range(1..=8192)? } else { 64 },
            init: *from.choose(&[Init::Agrees, Init::Agrees, Init::Agrees, Init::LooksAround, Init::Refuses])?,
            frames: if one_in(from, 5)? { Some(from.int_in_range(0..=12)?) } else { None },
        },
        9..12 => Task::Disable(group),
        12 => Task::Eject(group),
        13..15 => Task::Charge(group, violations(from)?),
        15..22 => Task::Enter { group, slot: from.int_in_range(0..=4)?, cpu: from.int_in_range(0..=1)? },
        22..28 => Task::Leave,
        28..32 => Task::Holes { arena: group % 2, count: from.int_in_range(0..=4)? },
        32..35 => Task::Take(from.int_in_range(1..=20_000)?),
        _ => Task::Reclaim,
    })
}

fn slot(from: &mut Unstructured) -> Result<Slot> {
    Ok(match from.int_in_range(0..=9_u8)? {
        0 | 1 => Slot::Empty,
        2 | 3 => Slot::Without,
        4 => Slot::On(1),
        _ => Slot::On(0),
    })
}

/// Few, or so many that a sum would go round.
fn violations(from: &mut Unstructured) -> Result<u64> {
    Ok(if one_in(from, 5)? { u64::MAX - u64::from(from.int_in_range(0..=2_u8)?) } else { from.int_in_range(0..=6)? })
}
