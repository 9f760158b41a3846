//! What the kernel writes for a program, word by word.

use super::{KernelMask, field, word};
use crate::access::{Accessor, Hole, Memory};
use crate::arch::Arch;
use crate::platform::Platform;

impl KernelMask {
    /// Writes the mask: its header, and of `bits` a word for each 64 ids, the first being that in which the base lies. What
    /// is missing of them is 0; bits that are no ids of the mask are left out.
    ///
    /// A program that looks on another CPU meanwhile may see some words of before and some of after. Context: *any*.
    ///
    /// # Errors
    /// [`Hole`], if there is no page (any more): what lies before it was written.
    pub fn set<P: Platform, A: Arch, M: Accessor>(
        &self,
        memory: &Memory<'_, P, A, M>,
        bits: impl IntoIterator<Item = u64>,
    ) -> Result<(), Hole> {
        let span = self.span();
        let header = [span.base(), span.nr(), Self::alloc_words(span)];
        for (at, value) in [0, 4, 8].into_iter().zip(header) {
            memory.try_store(field::<u32>(self.ptr(), at), &value)?;
        }
        let mut bits = bits.into_iter();
        for grid_word in span.grid() {
            let value = bits.next().unwrap_or(0) & span.live(grid_word);
            memory.try_store(word::<u64>(self.ptr(), span.index(grid_word)), &value)?;
        }
        Ok(())
    }
}
