//! The one place that names an atomic type.
//!
//! Everything in this crate that two CPUs may touch goes through these names, so that a model checker can take their
//! place: `--cfg loom` gives loom's atomics, `--cfg shuttle` shuttle's, anything else the processor's. Page tables and
//! bitmaps are arrays of these types *built in place* (`write_words`), never memory cast to atomics, because a
//! model's atomic is larger than the word it stands for.

#[cfg(not(any(loom, shuttle)))]
pub use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(all(shuttle, not(loom)))]
pub use shuttle::sync::atomic::{AtomicU64, Ordering};

use core::mem::MaybeUninit;

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
