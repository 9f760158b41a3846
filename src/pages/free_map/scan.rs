//! The search for a run within words that are looked at one after another: shift and test.
//!
//! `bits & bits >> 1` has a bit where two in a row are set; doing it again, by two, gives four in a row. How many steps
//! that takes is known when the code is compiled: there is one scan for each power of two, and one for what is longer
//! than a word. Nothing is divided.

use super::search::EVERY;
use super::{BLOCK_BITS, BLOCK_WORDS, Wanted, Words};

/// The scan for runs that are longer than a word.
pub(super) const LONG: u32 = 7;
/// The scan for runs so long that a whole word is in each: 127 bits and more.
pub(super) const WHOLE_WORDS: u32 = 8;

/// What was seen so far, for runs of at least 2^`STEPS` bits, and less than twice as many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<const STEPS: u32> {
    wanted: Wanted,
    /// By how much the last step shifts.
    last: u32,
    /// Free bits that reach the end of what was seen.
    pub(super) run: u32,
    /// Whether a run was found whose place does not suit its alignment.
    pub(super) misaligned: bool,
}

impl<const STEPS: u32> Scan<STEPS> {
    pub(super) const fn new(wanted: Wanted) -> Self {
        let last = if STEPS >= LONG { 0 } else { wanted.count - (1 << STEPS) };
        Self { wanted, last, run: 0, misaligned: false }
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
        if STEPS < LONG {
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
    pub(super) fn may_have(free: &Words) -> bool {
        let whole = |free: u64| match STEPS {
            WHOLE_WORDS => u64::from(free == !0),
            0 | 1 => free,
            _ => {
                // A long run has at least 2^6 bits, not 2^7.
                let steps = if STEPS == LONG { LONG - 2 } else { STEPS - 1 };
                let mut group = free;
                for step in 0..steps {
                    group &= group >> (1 << step);
                }
                group & EVERY[steps as usize]
            }
        };
        free.iter().fold(0, |any, free| any | whole(*free)) != 0
    }

    /// Where runs start that end in the same word.
    #[inline]
    fn starts(&self, free: u64) -> u64 {
        let mut starts = free;
        for step in 0..STEPS {
            starts &= starts >> (1 << step);
        }
        starts & starts >> self.last
    }
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
