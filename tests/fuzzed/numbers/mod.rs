//! Whatever numbers a program passes: addresses, counts, headers of masks, objects and blocks that are none.
//!
//! The kernel does with them what it does on a program's behalf, on one arena: pages ([`behalf`]), typed access and masks
//! ([`memory`]), objects and blocks ([`World`]). Nothing of the kernel's or of an allocator's is taken, what is refused leaves
//! everything as it was, and an access says rightly where the first hole is.

mod behalf;
mod calls;
mod memory;
mod world;

use arbitrary::Unstructured;
use kernel_arena::arch::aarch64::AArch64;
use kernel_arena::arch::portable::Portable;
use kernel_arena::arch::x86_64::X86_64;

use super::{Shown, sequence};
use crate::machine::Format;
use calls::{Call, call};
use world::World;

const MOST: usize = 40;
/// Pages of the extent, from page 1 on.
const PAGES: u32 = 40;

/// Makes the calls that the bytes come to, in the format that they say.
pub(crate) fn numbers(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(format) = bytes.int_in_range(0..=2_u8) else { return };
    let Ok(calls) = sequence(&mut bytes, MOST, call) else { return };
    let shown = Shown(calls);
    match format {
        0 => play::<X86_64>(&shown.0),
        1 => play::<AArch64>(&shown.0),
        _ => play::<Portable>(&shown.0),
    }
}

fn play<F: Format>(calls: &[Call]) {
    World::<F>::with(|world| calls.iter().for_each(|call| world.make(*call)));
}
