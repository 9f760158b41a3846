//! The bit that was freed last in a full block.
//!
//! Where nearly all is taken, a page that comes and goes is the only free one of its block: its note would be taken back when it
//! is freed, and set when it is claimed. So the note stays, and the bit is *remembered* instead. A search for one bit
//! looks at it as it looks at notes; every other search has the note taken back first.
//!
//! It is a hint, as notes are: whether the bit is free, the bit says. Who claims it leaves it remembered; who frees another has
//! that take its place if it is taken by then, or else takes back the note of its own. Where two meet, the one that gave way may be
//! free again just then: so who took its place looks at it once more. What is hidden all the same is found by a search that
//! fails (`search`), which takes its note back.

use super::{BLOCK_BITS, Blocks, FreeMap};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// The bit. Beside where the map's words are, which all who look for one bit read, too; on lines of its own it would take more
/// stack to make a map than kernels have to spare.
#[derive(Debug)]
pub(crate) struct Recent(AtomicU32);

impl Recent {
    /// No map has so many bits.
    pub(super) const NONE: u32 = u32::MAX;

    pub(super) fn none() -> Self {
        Self(AtomicU32::new(Self::NONE))
    }

    /// The bit, or a number that is none.
    #[inline]
    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Remembers a bit that is free now. Returns what was remembered before.
    pub(super) fn put(&self, bit: u32) -> u32 {
        self.0.swap(bit, Ordering::Relaxed)
    }
}

impl<B: Blocks> FreeMap<B> {
    /// The bit that is remembered, if it is free: its block may be noted as full all the same.
    #[inline]
    pub(super) fn hidden(&self) -> Option<u32> {
        Some(self.0.recent()?.get()).filter(|bit| self.is_free(*bit))
    }

    /// Remembers a bit that is free, of a block that is noted as full; or takes back the note, where another is remembered that is
    /// free, or where none is.
    #[inline(never)]
    pub(super) fn remember(&self, bit: u32) {
        let Some(recent) = self.0.recent() else { return self.0.note_open(bit / BLOCK_BITS) };
        match recent.get() {
            // It is again what it was, unless it was another's in between.
            remembered if remembered == bit => {}
            remembered if self.is_free(remembered) => self.0.note_open(bit / BLOCK_BITS),
            _ => {
                let before = recent.put(bit);
                if self.is_free(before) {
                    self.0.note_open(before / BLOCK_BITS);
                }
            }
        }
    }

    /// Whether there is such a bit, and it is free.
    #[inline]
    fn is_free(&self, bit: u32) -> bool {
        self.word(bit / 64).is_some_and(|word: &AtomicU64| word.load(Ordering::Relaxed) & 1 << (bit % 64) == 0)
    }
}
