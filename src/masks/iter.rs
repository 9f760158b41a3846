//! The ids of a mask that are set.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::Range;

use super::SharedMask;
use super::grid::{lowest, place};
use crate::access::{Accessor, Hole, Processor};
use crate::arch::{Arch, Native};
use crate::platform::{CpuId, Platform};

/// Gives the ids of a [`SharedMask`] that are set, ascending; after a [`Hole`] no more.
///
/// Each word is read once: an id that is given was set at that moment, and ids of one word were set together. Of different
/// words nothing of the kind is said.
#[must_use = "nothing is read before it is asked"]
pub struct MaskIter<'m, 'a, P: Platform, A: Arch = Native, M = Processor> {
    mask: &'m SharedMask<'a, P, A, M>,
    /// The words that are to be read.
    ahead: Range<u32>,
    /// Of the first of these, the ids that count.
    wanted: u64,
    /// What is left of the word that was read last, and which that was.
    left: u64,
    grid_word: u32,
}

impl<'m, 'a, P: Platform, A: Arch, M: Accessor> MaskIter<'m, 'a, P, A, M> {
    pub(super) const fn new(mask: &'m SharedMask<'a, P, A, M>) -> Self {
        Self { mask, ahead: mask.span().grid(), wanted: u64::MAX, left: 0, grid_word: 0 }
    }

    /// From an id on, which the mask need not have.
    pub(super) fn from(mask: &'m SharedMask<'a, P, A, M>, first: CpuId) -> Self {
        let (grid_word, bit) = place(first.number().into());
        let words = mask.span().grid();
        let wanted = if words.start <= grid_word { !(bit - 1) } else { u64::MAX };
        Self { ahead: words.start.max(grid_word)..words.end, wanted, ..Self::new(mask) }
    }
}

impl<P: Platform, A: Arch, M: Accessor> Iterator for MaskIter<'_, '_, P, A, M> {
    type Item = Result<CpuId, Hole>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left == 0 {
            self.grid_word = self.ahead.next()?;
            match self.mask.load(self.grid_word) {
                Ok(bits) => self.left = bits & core::mem::replace(&mut self.wanted, u64::MAX),
                Err(hole) => {
                    self.ahead = 0..0;
                    return Some(Err(hole));
                }
            }
        }
        let cpu = lowest(self.grid_word, self.left);
        self.left &= self.left - 1;
        Some(Ok(cpu))
    }
}

impl<P: Platform, A: Arch, M: Accessor> FusedIterator for MaskIter<'_, '_, P, A, M> {}

impl<P: Platform, A: Arch, M> fmt::Debug for MaskIter<'_, '_, P, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskIter").field("mask", self.mask).field("ahead", &self.ahead).finish_non_exhaustive()
    }
}
