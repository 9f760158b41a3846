//! Where the bits of a mask lie: words of 64 ids, numbered from the word of id 0.

use core::ops::Range;

use super::MaskSpan;
use super::span::WORD_BITS;
use crate::platform::CpuId;

impl MaskSpan {
    /// The words of the grid in which they lie.
    pub(super) const fn grid(self) -> Range<u32> {
        let first = self.base() / WORD_BITS;
        // Without ids there is no word, wherever the base is.
        first..if self.nr() == 0 { first } else { (self.base() + self.nr()).div_ceil(WORD_BITS) }
    }

    /// Which place in the mask a word of the grid has; it is one of [`grid`](Self::grid).
    pub(super) const fn index(self, grid_word: u32) -> u32 {
        grid_word - self.base() / WORD_BITS
    }

    /// The bits of a word of the grid that are ids of this span.
    pub(super) const fn live(self, grid_word: u32) -> u64 {
        let start = grid_word * WORD_BITS;
        let (from, to) = (below(start, self.base()), below(start, self.base() + self.nr()));
        to & !from
    }
}

/// The bits of the word that starts with the id `start` whose ids are below `end`.
const fn below(start: u32, end: u32) -> u64 {
    match end.saturating_sub(start) {
        ids if ids >= WORD_BITS => u64::MAX,
        ids => (1 << ids) - 1,
    }
}

/// Where the bit of an id lies: the word of the grid, and its value there.
pub(super) const fn place(id: u32) -> (u32, u64) {
    (id / WORD_BITS, 1 << (id % WORD_BITS))
}

/// The id of the lowest bit of a word of the grid that is not 0.
#[expect(clippy::cast_possible_truncation, reason = "ids are below 8192")]
pub(super) const fn lowest(grid_word: u32, bits: u64) -> CpuId {
    CpuId::new((grid_word * WORD_BITS + bits.trailing_zeros()) as u16)
}

#[cfg(test)]
mod tests {
    use super::super::{MaskIds, words};
    use super::*;

    #[test]
    fn every_id_has_one_bit_and_no_other_bit_is_live() {
        for base in [0, 1, 63, 64, 65, 100, 8128, 8191] {
            for nr in [0, 1, 2, 63, 64, 65, 128, 129, 8192] {
                let Some(span) = MaskSpan::new(base, nr, MaskIds::MAX) else { continue };
                let live: Vec<u32> = span
                    .grid()
                    .flat_map(|word| {
                        (0..64).filter(move |bit| span.live(word) >> bit & 1 == 1).map(move |bit| word * 64 + bit)
                    })
                    .collect();
                assert_eq!(live, (base..base + nr).collect::<Vec<_>>());
                assert!(u64::try_from(span.grid().count()).unwrap() <= words(nr));
                assert!(span.grid().all(|word| span.live(word) != 0), "no used word is without an id");
            }
        }
        assert_eq!(
            [0, 127, 130].map(|word| MaskSpan::new(64, 64, MaskIds::MAX).unwrap().live(word)),
            [0; 3],
            "words without ids have none"
        );
    }
}
