//! Atomic bits in lent words.

use crate::sync::{AtomicU64, Ordering};

/// A map of bits that many CPUs change at once.
#[derive(Debug)]
pub(crate) struct Bitmap {
    words: &'static [AtomicU64],
}

impl Bitmap {
    pub(crate) const fn new(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    /// The number of words.
    #[expect(clippy::cast_possible_truncation, reason = "a map has a bit for at most 2^20 + 1024 pages")]
    pub(crate) const fn word_count(&self) -> u32 {
        self.words.len() as u32
    }

    #[inline]
    fn of(&self, word: u32) -> &AtomicU64 {
        &self.words[word as usize]
    }

    #[inline]
    pub(crate) fn word(&self, word: u32, order: Ordering) -> u64 {
        self.of(word).load(order)
    }

    #[inline]
    pub(crate) fn test(&self, bit: u32, order: Ordering) -> bool {
        self.word(bit / 64, order) & 1 << (bit % 64) != 0
    }

    /// Whether this bit is set, or the map has no such bit.
    #[inline]
    pub(crate) fn is_set_or_absent(&self, bit: u32, order: Ordering) -> bool {
        self.words.get((bit / 64) as usize).is_none_or(|word| word.load(order) & 1 << (bit % 64) != 0)
    }

    /// Sets bits of one word and says which of them were clear. Release: what was done to the slots they stand for is seen
    /// by whoever takes them. Acquire: who finds one set sees what was done before it was, and who finds one
    /// clear sees what was done before it was taken. `SeqCst`: see `queue`.
    #[inline]
    pub(crate) fn set(&self, word: u32, mask: u64) -> u64 {
        mask & !self.of(word).fetch_or(mask, Ordering::SeqCst)
    }

    /// Sets a bit and says whether it was clear.
    #[inline]
    pub(crate) fn set_bit(&self, bit: u32) -> bool {
        // Not by `set`, so that it is one instruction where there is one.
        let mask = 1 << (bit % 64);
        self.of(bit / 64).fetch_or(mask, Ordering::SeqCst) & mask == 0
    }

    /// Clears bits of one word and says which of them were set. Acquire: pairs with [`set`](Self::set).
    pub(crate) fn take(&self, word: u32, mask: u64) -> u64 {
        self.of(word).fetch_and(!mask, Ordering::Acquire) & mask
    }

    /// The same of all bits of a word. Release, too: who sets one after it sees what was done before.
    pub(crate) fn take_all(&self, word: u32) -> u64 {
        self.of(word).swap(0, Ordering::AcqRel)
    }

    /// Clears a bit and says whether it was set.
    pub(crate) fn take_bit(&self, bit: u32) -> bool {
        self.take(bit / 64, 1 << (bit % 64)) != 0
    }

    /// Clears bits of one word. Release: whoever sees them clear sees all that was done before.
    #[cfg(all(feature = "std", unix, not(kernel_arena_loom)))]
    pub(crate) fn release(&self, word: u32, mask: u64) {
        self.of(word).fetch_and(!mask, Ordering::Release);
    }

    /// Sets bits of one word if all of them were clear. Acquire: pairs with [`release`](Self::release).
    ///
    /// Returns the word as it is now, or those of the bits that were set already.
    #[cfg(all(feature = "std", unix, not(kernel_arena_loom)))]
    pub(crate) fn acquire(&self, word: u32, mask: u64) -> Result<u64, u64> {
        let mut seen = self.word(word, Ordering::Relaxed);
        loop {
            if seen & mask != 0 {
                return Err(seen & mask);
            }
            match self.of(word).compare_exchange_weak(seen, seen | mask, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(seen | mask),
                Err(now) => seen = now,
            }
        }
    }

    /// The words of which some bits are set, and their numbers: each is looked at once. `SeqCst`: see `queue`.
    pub(crate) fn words_with_some(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        (0..).zip(self.words.iter().map(|word| word.load(Ordering::SeqCst))).filter(|(_, word)| *word != 0)
    }

    /// How many bits are set, counted word by word while others go on.
    pub(crate) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
    }

    /// The bits that are set now, lowest first, each word read once.
    pub(crate) const fn ones(&self) -> Ones<'_> {
        Ones { map: self, seen: 0, rest: 0 }
    }
}

/// The bits that are set in a map.
#[derive(Debug)]
pub(crate) struct Ones<'a> {
    map: &'a Bitmap,
    /// How many words were read.
    seen: u32,
    /// The bits of the last of them that are still to come.
    rest: u64,
}

impl Iterator for Ones<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.rest == 0 {
            self.rest = self.map.words.get(self.seen as usize)?.load(Ordering::Acquire);
            self.seen += 1;
        }
        let bit = self.rest.trailing_zeros();
        self.rest &= self.rest - 1;
        Some((self.seen - 1) * 64 + bit)
    }
}

/// The bits that are set in `word`, lowest first.
pub(crate) fn ones(word: u64) -> impl Iterator<Item = u32> {
    core::iter::successors((word != 0).then_some(word), |word| {
        let rest = word & (word - 1);
        (rest != 0).then_some(rest)
    })
    .map(u64::trailing_zeros)
}

/// The runs of bits that are set in `word`, lowest first: where each begins, and how long it is.
pub(crate) fn runs(word: u64) -> impl Iterator<Item = (u32, u32)> {
    let mut rest = word;
    core::iter::from_fn(move || {
        let first = rest.trailing_zeros();
        let count = rest.checked_shr(first)?.trailing_ones();
        rest &= !(!0 >> (64 - count) << first);
        Some((first, count))
    })
}

/// `count` bits from `first` on, as words and the bits in each.
pub(crate) fn masks(first: u32, count: u32) -> impl DoubleEndedIterator<Item = (u32, u64)> {
    let end = first + count;
    let words = if count == 0 { 0..0 } else { first / 64..(end - 1) / 64 + 1 };
    words.map(move |word| {
        let low = first.saturating_sub(word * 64);
        let high = (end - word * 64).min(64);
        (word, (!0 << low) & (!0 >> (64 - high)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_cover_exactly_the_range() {
        for first in [0, 1, 63, 64, 100, 127] {
            for count in [0, 1, 2, 63, 64, 65, 128, 200] {
                let mut bits: Vec<u32> = Vec::new();
                for (word, mask) in masks(first, count) {
                    bits.extend(ones(mask).map(|bit| word * 64 + bit));
                }
                assert_eq!(bits, (first..first + count).collect::<Vec<_>>(), "{first}+{count}");
            }
        }
    }

    #[test]
    fn runs_are_the_bits_that_are_set() {
        for word in [0, 1, 1 << 63, !0, 0b1101_1001, 0xf0f0 << 48 | 6] {
            let mut left = word;
            for (first, count) in runs(word) {
                let run = !0 >> (64 - count) << first;
                assert_eq!(left & run, run, "{word:#x}");
                left &= !run;
                assert!(left == 0 || left.trailing_zeros() > first + count, "{word:#x}: the whole run, lowest first");
            }
            assert_eq!(left, 0, "{word:#x}");
        }
    }

    #[cfg(all(feature = "std", unix, not(kernel_arena_loom)))]
    #[test]
    fn acquire_takes_all_or_nothing() {
        let map = Bitmap::new(vec![AtomicU64::new(0b0100)].leak());
        assert_eq!(map.acquire(0, 0b0110), Err(0b0100));
        assert_eq!(map.acquire(0, 0b1010), Ok(0b1110));
        assert_eq!(map.take(0, 0b0110), 0b0110);
        assert_eq!(map.ones().collect::<Vec<_>>(), [3]);
    }
}
