//! The host's tests as a library, for the fuzz targets of `fuzz/`: [`fuzzed`] says what they do.
//!
//! Here, where the tests' folders are, and not there: a file that is named by its path finds its own parts beside it.

#![expect(dead_code, unused_imports, reason = "the targets use a part of what the tests do")]

#[macro_use]
mod machine;
#[path = "machine/accessor.rs"]
mod accessor;
mod fuzzed;
mod groups;
mod heap;
mod pool;
mod properties;
mod slab;

/// Does what the target of this name does with bytes.
///
/// # Panics
///
/// There is no such target, or something is wrong.
pub fn run(target: &str, bytes: &[u8]) {
    let (_, play) = fuzzed::TARGETS.iter().find(|(name, _)| *name == target).expect("there is such a target");
    play(bytes);
}
