//! The one place that names an atomic type.
//!
//! Everything in this crate that two CPUs may touch goes through these names, so that a model checker can take their
//! place: with `kernel_arena_loom`, which only the package of the models sets, they are loom's, else the processor's. Page
//! tables and bitmaps are arrays of these types *built in place* (`write_words`), never memory cast to atomics, because a
//! model's atomic is larger than the word it stands for.

#[cfg(not(kernel_arena_loom))]
pub(crate) use core::sync::atomic::fence;
#[cfg(not(kernel_arena_loom))]
pub use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
#[cfg(kernel_arena_loom)]
pub(crate) use loom::sync::atomic::fence;
#[cfg(kernel_arena_loom)]
pub use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// A word of a figure that decides nothing: the processor's even in a model, which would try all orders of it in vain.
pub(crate) use core::sync::atomic::AtomicU64 as Figure;

/// A word of a page's memory, which has room for the processor's atomics alone, in a model too.
pub(crate) use core::sync::atomic::AtomicU64 as MemoryWord;

use core::mem::MaybeUninit;

/// Two cache lines, which prefetchers fetch as one: what stands in it shares them with nothing else.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// Fills `words` with atomics that hold `value`, and returns them initialised.
pub(crate) fn write_words(words: &mut [MaybeUninit<AtomicU64>], value: u64) -> &mut [AtomicU64] {
    for word in words.iter_mut() {
        word.write(AtomicU64::new(value));
    }
    let first = words.as_mut_ptr().cast::<AtomicU64>();
    // SAFETY: the loop above initialised every element, `MaybeUninit<T>` has the layout of `T`, and the borrow of
    // `words` is handed on.
    unsafe { core::slice::from_raw_parts_mut(first, words.len()) }
}
