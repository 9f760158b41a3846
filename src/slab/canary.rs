//! Canaries: what lies in debug mode between the end of what was asked for and the end of the memory that serves it.
//!
//! A canary is a word, over and over, that names the size which was asked for. So a free that names another size is told
//! from an overrun, as long as the last word of the memory is whole: a size was written there that fits all the rest.

use super::Slab;
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};

/// The least number of bytes of a canary, where there is one.
pub(crate) const CANARY_BYTES: usize = 8;

const FRAME: u64 = 0xc3c3_0000_0000_c3c3;
const SIZE_SHIFT: u32 = 16;

/// The canary of so many bytes.
fn word(size: usize) -> u64 {
    FRAME | u64::from(to_u32(size)) << SIZE_SHIFT
}

/// The size that a canary names.
fn size_of(word: u64) -> Option<usize> {
    let size = word >> SIZE_SHIFT & u64::from(u32::MAX);
    (word & !(u64::from(u32::MAX) << SIZE_SHIFT) == FRAME).then_some(size as usize)
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Writes the canary of `size` bytes at the start of `whole` bytes.
    pub(super) fn set_canary(&self, offset: u32, size: usize, whole: usize) {
        self.fill(offset.saturating_add(to_u32(size)), whole - size, word(size));
    }

    /// Looks at the canary: [`Misuse::WrongSize`] if it is another size's, [`Misuse::Overrun`] if it is no canary.
    pub(super) fn check_canary(&self, offset: u32, size: usize, whole: usize) -> Result<(), Misuse> {
        let is_of = |size: usize| self.is_filled(offset.saturating_add(to_u32(size)), whole - size, word(size));
        if is_of(size) {
            return Ok(());
        }
        let last = self.word_at(offset.saturating_add(to_u32(whole - CANARY_BYTES)));
        match size_of(last).filter(|named| *named <= whole - CANARY_BYTES && is_of(*named)) {
            Some(_) => Err(Misuse::WrongSize),
            None => Err(Misuse::Overrun),
        }
    }
}

/// Sizes of objects are at most 2^15, those of runs are below 2^32.
pub(super) fn to_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
