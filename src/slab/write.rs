//! The only places where the allocator touches the memory that it hands out: byte by byte or word by word, volatile,
//! never through a reference, for a program may write there at the same time (I10).

use super::Slab;
use crate::source::{MetadataSource, PageSource};

/// A word of which each byte has this value.
pub(super) const fn repeated(value: u8) -> u64 {
    u64::from_ne_bytes([value; 8])
}

/// The byte of a word that lies at an address, if the word is written at multiples of 8.
fn byte_at(word: u64, address: usize) -> u8 {
    word.to_ne_bytes()[address % 8]
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Fills memory that is in our hands with a word, over and over: whole ones where it can, and the bytes of it that
    /// belong there at the edges.
    pub(super) fn fill(&self, offset: u32, bytes: usize, word: u64) {
        let start = self.base.wrapping_add(offset as usize);
        let mut done = 0;
        while done < bytes {
            let at = start.wrapping_add(done);
            if bytes - done >= 8 && at.addr() % 8 == 0 {
                // SAFETY: the memory is in our hands, aligned to 8 there, and good for 8 bytes more.
                unsafe { at.cast::<u64>().write_volatile(word) };
                done += 8;
            } else {
                // SAFETY: the memory is in our hands, and good for a byte more.
                unsafe { at.write_volatile(byte_at(word, at.addr())) };
                done += 1;
            }
        }
    }

    /// Whether memory that is in our hands is filled with a word.
    pub(super) fn is_filled(&self, offset: u32, bytes: usize, word: u64) -> bool {
        let start = self.base.wrapping_add(offset as usize);
        (0..bytes).map(|byte| start.wrapping_add(byte)).all(|at| {
            // SAFETY: the memory is in our hands; it is initialised or, at worst, whatever somebody wrote too far.
            unsafe { at.read_volatile() == byte_at(word, at.addr()) }
        })
    }

    /// The word at an offset, a multiple of 8, in memory that is in our hands.
    pub(super) fn word_at(&self, offset: u32) -> u64 {
        // SAFETY: as above, and aligned.
        unsafe { self.base.wrapping_add(offset as usize).cast::<u64>().read_volatile() }
    }
}
