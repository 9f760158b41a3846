//! Wild accesses: loads and stores at addresses where nothing may be, as a bug or a program's pointer makes them.

use kernel_arena::{Arena, ArenaPtr, KernelAddr};

use crate::arena::MyPlatform;

/// The address of a byte of the window.
pub(crate) fn address(arena: &Arena<MyPlatform>, offset: u32) -> KernelAddr {
    arena.layout().to_kernel(ArenaPtr::<u64>::new(offset).unwrap())
}

/// Loads a word of the window, or of the guard behind it.
pub(crate) fn read(address: KernelAddr) -> u64 {
    // SAFETY: no Rust object is there: either a page that the arena has given out, or the scratch page stands in.
    unsafe { address.as_mut_ptr::<u64>().read_volatile() }
}

/// Stores a word there.
pub(crate) fn write(address: KernelAddr, word: u64) {
    // SAFETY: as in `read`.
    unsafe { address.as_mut_ptr::<u64>().write_volatile(word) }
}
