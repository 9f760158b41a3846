//! A map whose words lie side by side in lent memory.

use super::recent::Recent;
use super::{BLOCK_BITS, BLOCK_WORDS, Blocks, Bound, FreeMap, PairTest};
use crate::sync::{AtomicU64, Ordering};

/// Their words, the bounds, and the notes: of a window 32 words, which are looked through one by one.
///
/// A map of one block has nothing but its words.
#[derive(Debug)]
pub(crate) struct FlatMap {
    words: &'static [AtomicU64],
    bounds: &'static [AtomicU64],
    notes: &'static [AtomicU64],
    recent: Recent,
}

/// What a quick look shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    /// This bit is free: mostly the lowest.
    Free(u32),
    /// None is, as notes say of all blocks.
    Full,
    /// None is, as the caller knows.
    Refused,
    /// None of the first block that is not noted; of others nothing is known.
    Unknown,
}

/// How many words of each kind a map has.
const fn parts(bits: usize) -> [usize; 3] {
    let words = bits.div_ceil(64);
    let blocks = words.div_ceil(BLOCK_WORDS as usize);
    if blocks <= 1 { [words, 0, 0] } else { [words, blocks.div_ceil(2), blocks.div_ceil(64)] }
}

impl FlatMap {
    /// Words that a map of so many bits consists of.
    pub(crate) const fn words_for(bits: usize) -> usize {
        let [words, bounds, notes] = parts(bits);
        words + bounds + notes
    }
}

impl FreeMap<FlatMap> {
    /// A map of `bits`, all free, in [`words_for`](FlatMap::words_for) words that hold 0.
    pub(crate) fn new(lent: &'static [AtomicU64], bits: usize) -> Self {
        let [words, bounds, notes] = parts(bits);
        let (words, rest) = lent.split_at(words);
        let (bounds, rest) = rest.split_at(bounds);
        let notes = rest.split_at(notes).0;
        let map = Self(FlatMap { words, bounds, notes, recent: Recent::none() });
        // Relaxed: shown to nobody yet. Bits that stand for nothing are taken, notes for nothing are set.
        let beyond = |count: usize| if count % 64 == 0 { 0 } else { !0 << (count % 64) };
        let fill = |words: &[AtomicU64], used: usize| {
            if let Some(last) = words.last() {
                last.fetch_or(beyond(used), Ordering::Relaxed);
            }
        };
        fill(words, bits);
        fill(notes, map.0.end() as usize);
        map
    }

    /// The number of words.
    #[expect(clippy::cast_possible_truncation, reason = "no map has more than 2^15 words")]
    pub(crate) const fn word_count(&self) -> u32 {
        self.0.words.len() as u32
    }

    /// A quick look for a bit that is free: the one that is remembered, or one of the first block that is not noted as full. Where
    /// the first notes say full, it asks whether to look further.
    #[inline]
    pub(crate) fn guess(&self, is_refused: impl FnOnce() -> bool) -> Guess {
        let noted = self.0.notes.first().map_or(0, |noted| noted.load(Ordering::Relaxed));
        // Nothing lies below the first block.
        if noted & 1 == 0 { self.guess_from(0) } else { self.guess_beyond(noted, is_refused) }
    }

    /// The same, where the first block is full, by the first word of notes.
    #[inline]
    fn guess_beyond(&self, noted: u64, is_refused: impl FnOnce() -> bool) -> Guess {
        let open = match noted {
            u64::MAX if is_refused() => return Guess::Refused,
            u64::MAX => self.0.next_open_after(0),
            _ => noted.trailing_ones(),
        };
        match self.hidden() {
            Some(hidden) if hidden < open * BLOCK_BITS => Guess::Free(hidden),
            _ => self.guess_from(open * BLOCK_WORDS),
        }
    }

    /// Of the words of a block, from its first on.
    #[inline(always)]
    fn guess_from(&self, first: u32) -> Guess {
        // Relaxed: whoever claims it looks again. Mostly the first word has one.
        let Some(taken) = self.0.words.get(first as usize) else { return Guess::Full };
        let taken = taken.load(Ordering::Relaxed);
        if taken != !0 { Guess::Free(first * 64 + taken.trailing_ones()) } else { self.guess_behind(first) }
    }

    /// The same behind the first word of a block.
    #[inline(never)]
    fn guess_behind(&self, first: u32) -> Guess {
        // As many as there are, so that they are looked at in a loop.
        let end = self.word_count().min(first + BLOCK_WORDS);
        let words = self.0.words.get(first as usize + 1..end as usize).unwrap_or_default();
        let taken = (first + 1..).zip(words).map(|(word, taken)| (word, taken.load(Ordering::Relaxed)));
        let open = taken.into_iter().find(|(_, taken)| *taken != !0);
        open.map_or(Guess::Unknown, |(word, taken)| Guess::Free(word * 64 + taken.trailing_ones()))
    }

    /// How many bits are taken, counted word by word while others go on.
    pub(crate) fn count(&self) -> u32 {
        self.0.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
    }

    /// Whether a bit is taken.
    pub(crate) fn test(&self, bit: u32, order: Ordering) -> bool {
        self.taken(bit / 64, order) & 1 << (bit % 64) != 0
    }
}

impl Blocks for FlatMap {
    #[expect(clippy::cast_possible_truncation, reason = "no map has more than 2^12 blocks")]
    fn end(&self) -> u32 {
        self.words.len().div_ceil(BLOCK_WORDS as usize) as u32
    }

    #[inline]
    fn words(&self, block: u32) -> Option<&[AtomicU64]> {
        let first = block as usize * BLOCK_WORDS as usize;
        self.words.get(first..self.words.len().min(first + BLOCK_WORDS as usize))
    }

    #[inline]
    fn word(&self, word: u32) -> Option<&AtomicU64> {
        self.words.get(word as usize)
    }

    #[inline]
    fn bound(&self, block: u32) -> Option<Bound<'_>> {
        Some(Bound { pair: self.bounds.get(block as usize / 2)?, half: block % 2 })
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "no map has more than 2^12 blocks")]
    fn next_unpassed(&self, block: u32, test: PairTest) -> u32 {
        let pairs = self.bounds.get(block as usize / 2..).unwrap_or_default();
        let passed = pairs.iter().position(|pair| !test.passes(pair));
        block + 2 * passed.unwrap_or(pairs.len()) as u32
    }

    #[inline]
    fn next_open(&self, block: u32) -> u32 {
        let index = block / 64;
        let Some(noted) = self.notes.get(index as usize) else { return block };
        let open = !noted.load(Ordering::Relaxed) >> (block % 64);
        if open != 0 {
            return block + open.trailing_zeros();
        }
        self.next_open_after(index)
    }

    #[inline]
    fn is_noted(&self, block: u32) -> bool {
        let noted = self.notes.get(block as usize / 64);
        noted.is_some_and(|noted| noted.load(Ordering::Relaxed) & 1 << (block % 64) != 0)
    }

    #[cold]
    fn note_full(&self, block: u32) {
        if let Some(noted) = self.notes.get(block as usize / 64) {
            noted.fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }

    #[inline]
    fn note_open(&self, block: u32) {
        if self.is_noted(block) {
            self.forget_full(block);
        }
    }

    #[inline]
    fn recent(&self) -> Option<&Recent> {
        Some(&self.recent)
    }
}

impl FlatMap {
    #[cold]
    #[inline(never)]
    fn forget_full(&self, block: u32) {
        if let Some(noted) = self.notes.get(block as usize / 64) {
            noted.fetch_and(!(1 << (block % 64)), Ordering::Relaxed);
        }
    }

    /// The first block that is not noted in a word of notes after this one.
    #[cold]
    #[expect(clippy::cast_possible_truncation, reason = "no map has more than 2^12 blocks")]
    fn next_open_after(&self, index: u32) -> u32 {
        let noted = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let mut words = self.notes.get(index as usize + 1..).unwrap_or_default();
        // Several at once, for where nearly all is taken there are many.
        while let Some((several, rest)) = words.split_first_chunk::<8>() {
            if several.iter().fold(!0, |all, word| all & noted(word)) != !0 {
                break;
            }
            words = rest;
        }
        // What a word of notes has no block for is noted, too.
        let first = (self.notes.len() - words.len()) as u32;
        let mut words = (first..).zip(words).map(|(index, word)| (index, noted(word)));
        let open = words.find(|(_, noted)| *noted != !0);
        open.map_or_else(|| self.end(), |(index, noted)| index * 64 + noted.trailing_ones())
    }
}
