//! The search for a run of clear bits: a pure function over words, so that it can be tested without an arena.

/// Where and what to look for; all numbers are bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSearch {
    /// The first bit that may be taken.
    pub(crate) from: u32,
    /// The bit after the last one.
    pub(crate) end: u32,
    /// The length of the run, at least 1.
    pub(crate) count: u32,
    /// A power of two that divides `first bit of the run + origin`.
    pub(crate) align: u32,
    /// The page number of bit 0: alignment is a matter of pages, not of bits.
    pub(crate) origin: u32,
}

impl RunSearch {
    /// The lowest run, where `taken` gives the bits of a word that are not to be had, and `skip` the next word, from the one
    /// given on, that is worth a look.
    pub(crate) fn lowest(self, taken: impl Fn(u32) -> u64, skip: impl Fn(u32) -> u32) -> Option<u32> {
        let mut start = self.aligned(skip(self.from / 64).saturating_mul(64).max(self.from));
        // [start, bit) is clear.
        let mut bit = start;
        // The word that was looked at last: one may hold many obstacles, and looking may be dear.
        let mut last = None;
        loop {
            if start.checked_add(self.count)? > self.end {
                return None;
            }
            if bit >= start + self.count {
                return Some(start);
            }
            let number = bit / 64;
            let word = match last {
                Some((seen, word)) if seen == number => word,
                _ => taken(number),
            };
            last = Some((number, word));
            let ahead = word >> (bit % 64);
            if ahead == 0 {
                bit = (bit / 64 + 1) * 64;
                continue;
            }
            let obstacle = bit + ahead.trailing_zeros();
            if obstacle >= start + self.count {
                return Some(start);
            }
            let mut after = obstacle + (word >> (obstacle % 64)).trailing_ones();
            if after % 64 == 0 {
                after = skip(after / 64).saturating_mul(64);
            }
            start = self.aligned(after);
            bit = start;
        }
    }

    fn aligned(self, bit: u32) -> u32 {
        bit.saturating_add(self.origin).checked_next_multiple_of(self.align).map_or(u32::MAX, |page| page - self.origin)
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the search is to find, said without cleverness.
    fn naive(search: RunSearch, words: &[u64]) -> Option<u32> {
        let clear = |bit: u32| words[bit as usize / 64] & 1 << (bit % 64) == 0;
        (search.from..=search.end.saturating_sub(search.count))
            .filter(|start| (start + search.origin) % search.align == 0 && start + search.count <= search.end)
            .find(|start| (*start..start + search.count).all(clear))
    }

    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            Just(!0),
            any::<u64>(),
            any::<(u64, u64)>().prop_map(|(a, b)| a & b),
            any::<u64>().prop_map(|a| 1 << (a % 64))
        ]
    }

    proptest! {
        #[test]
        fn finds_the_lowest_run(
            words in proptest::collection::vec(word(), 8),
            from in 0u32..300, length in 0u32..512, count in 1u32..200, align in 0u32..8, origin in 0u32..4,
        ) {
            let search = RunSearch { from, end: (from + length).min(512), count, align: 1 << align, origin: origin * 512 };
            let expected = naive(search, &words);
            prop_assert_eq!(search.lowest(|word| words[word as usize], |word| word), expected);
            // Skipping words that are full changes nothing.
            let skip = |mut word: u32| {
                while words.get(word as usize) == Some(&!0) {
                    word += 1;
                }
                word
            };
            prop_assert_eq!(search.lowest(|word| words[word as usize], skip), expected);
        }
    }
}
