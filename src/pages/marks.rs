//! Bits that are few, in a large map: a bitmap, and above it a bit for each word that has any.

use super::{BLOCK_WORDS, Bitmap, Left, Words, ones};
use crate::sync::{AtomicU64, Ordering};

/// Words of a map that are counted when an error is made: 64 times 64 bits. A map that has no more has nothing above it. (In a
/// model one, so that few words have something.)
const COUNTED_WORDS: usize = if cfg!(kernel_arena_loom) { 1 } else { 64 };

/// A map of bits that many CPUs change at once, and that can be counted in passing.
#[derive(Debug)]
pub(crate) struct Marks {
    bits: Bitmap,
    /// A bit a word: it has some. Of those who take all bits it is the truth, to all others a hint.
    some: Bitmap,
}

impl Marks {
    /// Words that a map of so many words consists of.
    pub(crate) const fn words_for(words: usize) -> usize {
        words + if words > COUNTED_WORDS { words.div_ceil(64) } else { 0 }
    }

    /// A map of so many words, in [`words_for`](Self::words_for) words that hold 0.
    pub(crate) fn new(lent: &'static [AtomicU64], words: usize) -> Self {
        let (bits, some) = lent.split_at(words);
        Self { bits: Bitmap::new(bits), some: Bitmap::new(some) }
    }

    /// The bits, to be looked at.
    #[inline]
    pub(crate) const fn bits(&self) -> &Bitmap {
        &self.bits
    }

    /// Sets bits of one word and says which of them were clear. Acquire and Release, as [`Bitmap::set`].
    #[inline]
    pub(crate) fn set(&self, word: u32, mask: u64) -> u64 {
        let were_clear = self.bits.set(word, mask);
        if mask != 0 {
            self.note(word);
        }
        were_clear
    }

    /// Notes that a word has some bits.
    #[inline]
    fn note(&self, word: u32) {
        if !self.is_noted(word) {
            self.some.set_bit(word);
        }
    }

    /// Whether that is noted, or need not be: of a small map nothing is. Acquire: who leaves a note as it is comes after who set it
    /// (`queue`).
    #[inline]
    fn is_noted(&self, word: u32) -> bool {
        self.some.is_set_or_absent(word, Ordering::Acquire)
    }

    /// Sets a bit and says whether it was clear.
    #[inline]
    pub(crate) fn set_bit(&self, bit: u32) -> bool {
        let was_clear = self.bits.set_bit(bit);
        self.note(bit / 64);
        was_clear
    }

    /// Sets a bit and says whether it was clear, and whether [`note_bit`](Self::note_bit) must follow, so that the note is the hint
    /// that it is to all who do not take all bits.
    #[inline]
    pub(crate) fn set_unnoted(&self, bit: u32) -> (bool, bool) {
        let was_clear = self.bits.set_bit(bit);
        // Else it was noted by who set it, or is about to be.
        (was_clear, was_clear && !self.is_noted(bit / 64))
    }

    /// Notes that the word with this bit has some.
    pub(crate) fn note_bit(&self, bit: u32) {
        self.some.set_bit(bit / 64);
    }

    /// Clears bits of one word and says which of them were set. Acquire: pairs with [`set`](Self::set).
    pub(crate) fn take(&self, word: u32, mask: u64) -> u64 {
        let taken = self.bits.take(word, mask);
        let is_empty = || self.bits.word(word, Ordering::Relaxed) == 0;
        if self.some.word_count() > 0 && is_empty() {
            self.some.take_bit(word);
            if !is_empty() {
                self.some.set_bit(word);
            }
        }
        taken
    }

    /// Takes all bits, word by word: the note of each word first, so that who sets bits meanwhile sets it again (`queue`). What is
    /// done with them is there once.
    pub(crate) fn take_all(&self, taken: &mut dyn FnMut(u32, u64)) {
        let mut take = |word| match self.bits.take_all(word) {
            0 => {}
            mask => taken(word, mask),
        };
        if self.some.word_count() == 0 {
            return self.bits.words_with_some().for_each(|(word, _)| take(word));
        }
        self.noted_words().for_each(|word| {
            self.some.take_bit(word);
            take(word);
        });
    }

    /// Clears a bit and says whether it was set.
    pub(crate) fn take_bit(&self, bit: u32) -> bool {
        self.take(bit / 64, 1 << (bit % 64)) != 0
    }

    /// The words that are noted as having some bits, by number. Of a small map none is.
    pub(crate) fn noted_words(&self) -> impl Iterator<Item = u32> + '_ {
        self.some.words_with_some().flat_map(|(word, noted)| ones(noted).map(move |bit| word * 64 + bit))
    }

    /// The bits of eight words, the first at eight times `block`, as far as is noted that there are any.
    #[inline]
    pub(crate) fn block(&self, block: u32) -> Left {
        let first = block * BLOCK_WORDS;
        let noted =
            self.some.word_count() == 0 || self.some.word(first / 64, Ordering::Relaxed) >> (first % 64) & 0xff != 0;
        noted.then(|| self.read_block(first))
    }

    fn read_block(&self, first: u32) -> Words {
        let of_word = |word| if word < self.bits.word_count() { self.bits.word(word, Ordering::Relaxed) } else { 0 };
        let mut words: Words = [0; BLOCK_WORDS as usize];
        words.iter_mut().zip(first..).for_each(|(bits, word)| *bits = of_word(word));
        words
    }

    /// The sum of `count` over words that have bits, of the first 64 such words at most.
    pub(crate) fn counted(&self, count: &dyn Fn(u32, u64) -> u32) -> u32 {
        let of_word = |word: u32| match self.bits.word(word, Ordering::Relaxed) {
            0 => 0,
            bits => count(word, bits),
        };
        if self.some.word_count() == 0 {
            return (0..self.bits.word_count()).map(of_word).sum();
        }
        let (mut sum, mut left) = (0, COUNTED_WORDS);
        // Most often there is nothing: that is found out quickly.
        for word in 0..self.some.word_count() {
            let some = self.some.word(word, Ordering::Relaxed);
            if some != 0 {
                sum += ones(some).take(left).map(|bit| of_word(word * 64 + bit)).sum::<u32>();
                left = left.saturating_sub(some.count_ones() as usize);
            }
        }
        sum
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    fn marks(words: usize) -> Marks {
        let lent: Vec<_> = (0..Marks::words_for(words)).map(|_| AtomicU64::new(0)).collect();
        Marks::new(lent.leak(), words)
    }

    #[test]
    fn small_maps_and_few_words_are_counted_exactly_many_are_at_least_64() {
        for (words, marked, counted) in [(64, 64, 128), (65, 64, 128), (16384, 63, 126), (16384, 9000, 128)] {
            let marks = marks(words);
            for word in (0..).step_by(words / marked).take(marked) {
                marks.set(word, 0b101);
            }
            assert_eq!(marks.counted(&|_, bits| bits.count_ones()), counted, "{marked} of {words}");
        }
    }

    #[test]
    fn what_was_taken_is_not_counted_and_hides_nothing() {
        let marks = marks(1000);
        let count = || marks.counted(&|_, bits| bits.count_ones());
        marks.set_bit(64_000 - 1);
        marks.set(7, 0b11);
        assert_eq!(count(), 3);
        assert_eq!(marks.take(7, 0b10), 0b10);
        assert_eq!(count(), 2);
        assert!(marks.take_bit(64_000 - 1));
        assert!(!marks.take_bit(64_000 - 1));
        assert_eq!(count(), 1);
        marks.set_bit(64_000 - 1);
        assert_eq!(count(), 2);
    }
}
