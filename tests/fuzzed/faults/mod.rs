//! What a processor says of faults, whatever that is: decoded or declined, and handed to the registry or to a view.
//!
//! The judge of the decoders ([`decoders`]) is the manuals' tables, written down once more; that of the answers ([`answers`]) is
//! what the pages were before. All pages are looked at after each.

mod answers;
mod decoders;
mod registers;

use arbitrary::{Result, Unstructured};
use kernel_arena::Owner;
use kernel_arena::arch::aarch64::AArch64;
use kernel_arena::arch::x86_64::X86_64;
use kernel_arena::views::{FaultPolicy, ViewRights};

use super::{Shown, one_in, sequence};
use crate::machine::{Format, Machine};
use answers::World;
use decoders::{Decode, of_aarch64, of_x86_64};
use registers::Registers;

const MOST: usize = 40;
/// Pages of each extent, from page 1 on.
const PAGES: u32 = 12;
const ARENAS: usize = 2;
/// Views: of which arena, and how.
const VIEWS: [(usize, ViewRights, FaultPolicy); 3] = [
    (0, ViewRights::ReadWrite, FaultPolicy::Lazy),
    (1, ViewRights::ReadOnly, FaultPolicy::Lazy),
    (1, ViewRights::ReadWrite, FaultPolicy::Segv),
];

#[derive(Clone, Copy, Debug)]
enum Act {
    Kernel(Registers),
    Program { view: usize, registers: Registers },
    Alloc { arena: usize, page: u32, owner: Owner },
    Free { arena: usize, page: u32, owner: Owner, deferred: bool },
    Reserve { arena: usize, page: u32 },
    Reclaim { arena: usize },
    Detach { view: usize },
}

/// Decodes each, and sees to what becomes of it.
pub(crate) fn faults(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(is_aarch64) = bytes.arbitrary() else { return };
    if is_aarch64 { play::<AArch64>(&mut bytes, of_aarch64) } else { play::<X86_64>(&mut bytes, of_x86_64) }
}

fn play<F: Format>(from: &mut Unstructured, decode: Decode) {
    let m = Machine::<F>::builder().arenas(ARENAS).extent(1, PAGES).build();
    let mut world = World::new(m);
    let (windows, views) = world.bases();
    let Ok(acts) = sequence(from, MOST, |from| act(from, &windows, &views)) else { return };
    let shown = Shown(acts);
    for act in &shown.0 {
        match *act {
            Act::Kernel(registers) => _ = decode(registers).0.map(|fault| world.kernels(fault)),
            Act::Program { view, registers } => _ = decode(registers).1.map(|fault| world.programs(view, fault)),
            other => world.change(other),
        }
    }
    world.finish();
}

fn act(from: &mut Unstructured, windows: &[u64], views: &[u64]) -> Result<Act> {
    let (arena, page) = (from.int_in_range(0..=ARENAS - 1)?, from.int_in_range(1..=PAGES)?);
    Ok(match from.int_in_range(0..=19_u8)? {
        0..8 => Act::Kernel(registers::any(from, windows)?),
        8..13 => Act::Program { view: from.choose_index(VIEWS.len())?, registers: registers::any(from, views)? },
        13 | 14 => Act::Alloc { arena, page, owner: owner(from)? },
        15 | 16 => Act::Free { arena, page, owner: owner(from)?, deferred: from.arbitrary()? },
        17 => Act::Reserve { arena, page },
        18 if one_in(from, 4)? => Act::Detach { view: from.choose_index(VIEWS.len())? },
        _ => Act::Reclaim { arena },
    })
}

fn owner(from: &mut Unstructured) -> Result<Owner> {
    Ok(*from.choose(&[Owner::Program, Owner::Kernel, Owner::Allocator])?)
}
