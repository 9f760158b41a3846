//! The search for a run within words that are looked at one after another: shift and test.
//!
//! `bits & bits >> 1` has a bit where two in a row are set; doing it again, by two, gives four in a row. Whether a block is to
//! be looked at closely is asked of each: there is one such test for each number of steps, known when the code is compiled,
//! for all of a block's words at once. Where it says yes, words are looked at one by one, in a loop. Nothing is divided.

use super::search::EVERY;
use super::{BLOCK_BITS, BLOCK_WORDS, Wanted, Words};

/// For runs that are longer than a word.
const LONG: u32 = 7;
/// For runs so long that a whole word is in each: 127 bits and more.
const WHOLE_WORDS: u32 = 8;

/// What was seen so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    wanted: Wanted,
    /// For runs of at most a word: they have at least 2^`steps` bits, and less than twice as many.
    steps: u32,
    /// By how much the last step shifts.
    last: u32,
    /// Free bits that reach the end of what was seen.
    pub(super) run: u32,
    /// Whether a run was found whose place does not suit its alignment.
    pub(super) misaligned: bool,
}

impl Scan {
    pub(super) const fn new(wanted: Wanted) -> Self {
        let steps = match wanted.count {
            127.. => WHOLE_WORDS,
            65.. => LONG,
            count => count.ilog2(),
        };
        let last = if steps >= LONG { 0 } else { wanted.count - (1 << steps) };
        Self { wanted, steps, last, run: 0, misaligned: false }
    }

    /// Looks at the next word, whose first bit is `bit`: the lowest run that ends in it.
    #[inline]
    pub(super) fn word(&mut self, bit: u32, free: u64) -> Option<u32> {
        let ahead = free.trailing_ones();
        if self.run + ahead >= self.wanted.count {
            let start = self.wanted.aligned(bit - self.run);
            if start + self.wanted.count <= bit + ahead {
                return Some(start);
            }
            self.misaligned = true;
        }
        if self.steps < LONG {
            let starts = self.starts(free);
            if starts != 0 {
                let suitable = starts & self.wanted.suitable(bit);
                if suitable != 0 {
                    return Some(bit + suitable.trailing_zeros());
                }
                self.misaligned = true;
            }
        }
        self.run = if ahead == 64 { self.run + 64 } else { free.leading_ones() };
        None
    }

    /// Whether there can be a run that begins or ends in these words, and is no longer than them at their ends: a run of at
    /// least 2^n has in it 2^(n-1) bits that begin at a multiple of 2^(n-1), which no two words share.
    #[inline]
    pub(super) fn may_have(&self, free: &Words) -> bool {
        match self.steps {
            0 | 1 => any(free, |free| free),
            2 => any(free, groups::<1>),
            3 => any(free, groups::<2>),
            4 => any(free, groups::<3>),
            5 => any(free, groups::<4>),
            // A long run has at least 2^6 bits, not 2^7.
            6 | LONG => any(free, groups::<5>),
            _ => any(free, |free| u64::from(free == !0)),
        }
    }

    /// Where runs start that end in the same word.
    #[inline]
    fn starts(&self, free: u64) -> u64 {
        let starts = (0..self.steps).fold(free, |starts, step| starts & starts >> (1 << step));
        starts & starts >> self.last
    }
}

/// Whether any of these words has what is looked for: all of them are looked at, at once.
#[inline]
fn any(words: &Words, look: impl Fn(u64) -> u64) -> bool {
    words.iter().fold(0, |any, word| any | look(*word)) != 0
}

/// Groups of 2^`STEPS` bits that are all set, and begin at a multiple of that.
#[inline]
fn groups<const STEPS: u32>(word: u64) -> u64 {
    let mut group = word;
    for step in 0..STEPS {
        group &= group >> (1 << step);
    }
    group & EVERY[STEPS as usize]
}

/// How many bits are free at the start of these words, and at their end.
#[inline]
pub(super) fn ends(free: &Words) -> (u32, u32) {
    let (mut head, mut tail) = (0, 0);
    while head < BLOCK_BITS {
        let word = free[head as usize / 64];
        head += word.trailing_ones();
        if word != !0 {
            break;
        }
    }
    while tail < BLOCK_BITS {
        let word = free[(BLOCK_WORDS - 1 - tail / 64) as usize];
        tail += word.leading_ones();
        if word != !0 {
            break;
        }
    }
    (head, tail)
}
