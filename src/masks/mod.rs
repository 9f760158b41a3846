//! CPU masks: sets of CPUs in the arena, which the kernel and programs both read and write.
//!
//! A mask is a header, then words of 64 bits ([`MaskHeader`]). It covers the ids `base` to `base + nr`, and its words lie on the
//! *grid*: the word of an id is number `id / 64`, whatever the base is, so masks of different bases are combined word by word,
//! without shifting. Bits of a used word that are no id of the mask are 0 where the kernel writes, and are not looked at where
//! it reads; words behind the last used one say nothing.
//!
//! There are two directions, and neither trusts the other side:
//!
//! - *From the kernel to a program*: a [`KernelMask`] is a place of which the kernel alone knows what is there. Header and bits are
//!   written anew each time, and never read back, so whatever a program has scribbled there is gone with the next.
//! - *From a program to the kernel*: a [`SharedMask`] is a snapshot of a header, each field of which was read once and checked.
//!   From then on the snapshot alone counts. What a program makes of the header afterwards changes nothing: no
//!   operation leaves the words that the snapshot has, or takes more rounds than there are of them.
//!
//! Every access stops where there is no page, and says [`Hole`]: there is no flavour that scratches, for a program chose the
//! pointer.
//!
//! [`Hole`]: https://docs.rs/kernel-arena/latest/kernel_arena/access/struct.Hole.html
//! [`SharedMask`]: https://docs.rs/kernel-arena/latest/kernel_arena/masks/struct.SharedMask.html

mod error;
#[cfg(feature = "zerocopy")]
mod grid;
#[cfg(feature = "zerocopy")]
mod iter;
mod kernel;
#[cfg(feature = "zerocopy")]
mod operations;
mod per_cpu;
#[cfg(feature = "zerocopy")]
mod refused;
#[cfg(feature = "zerocopy")]
mod shared;
mod span;
#[cfg(feature = "zerocopy")]
mod write;

pub use error::PlaceError;
#[cfg(feature = "zerocopy")]
pub use iter::MaskIter;
pub use kernel::KernelMask;
pub use per_cpu::PerCpuMasks;
#[cfg(feature = "zerocopy")]
pub use refused::{ChangeError, MaskError};
#[cfg(feature = "zerocopy")]
pub use shared::SharedMask;
pub use span::{MaskIds, MaskSpan, words};

use crate::addr::{ArenaPtr, WINDOW_SIZE};

/// How a mask begins, in C: `struct { uint32_t base, nr, alloc_words; uint64_t bits[]; }`. It is aligned to 8 bytes, and
/// the first word lies 16 bytes behind its start.
///
/// Only what pointers to masks point to: no value of it is ever made, for each field is loaded and stored by itself.
#[repr(C, align(8))]
#[derive(Debug)]
pub struct MaskHeader {
    base: u32,
    nr: u32,
    alloc_words: u32,
}

/// Where the words start.
const HEADER_BYTES: u32 = 16;
const WORD_BYTES: u32 = 8;
const _: () = assert!(size_of::<MaskHeader>() == HEADER_BYTES as usize);

/// Whether a mask whose span has so many ids can be at `ptr`, with room for `words` of them.
const fn check_place(ptr: ArenaPtr<MaskHeader>, words: u32) -> Result<(), PlaceError> {
    let offset = ptr.offset();
    if offset % WORD_BYTES != 0 {
        return Err(PlaceError::Misaligned { offset });
    }
    let bytes = HEADER_BYTES as u64 + words as u64 * WORD_BYTES as u64;
    if bytes > WINDOW_SIZE - offset as u64 {
        return Err(PlaceError::LeavesWindow { offset, bytes });
    }
    Ok(())
}

/// A place within a mask that was checked.
#[cfg(feature = "zerocopy")]
fn field<T>(mask: ArenaPtr<MaskHeader>, offset_bytes: u32) -> ArenaPtr<T> {
    ArenaPtr::in_page(mask.offset() + offset_bytes)
}

/// The place of a word, counted from the mask's first.
#[cfg(feature = "zerocopy")]
fn word<T>(mask: ArenaPtr<MaskHeader>, index: u32) -> ArenaPtr<T> {
    field(mask, HEADER_BYTES + index * WORD_BYTES)
}
