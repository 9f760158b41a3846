//! The search for a run within words that are looked at one after another: shift and test.
//!
//! `bits & bits >> 1` has a bit where two in a row are set; doing it again, by two, gives four in a row. Whether a block is to
//! be looked at closely is asked of each, by steps that are each for all of a block's words at once. Where it says yes, words are
//! looked at one by one, in a loop. Nothing is divided.

use core::ops::ControlFlow;

use super::Words;
use super::wanted::{EVERY, Wanted};

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

    /// Looks at words one by one, of which the first begins with bit `first`: the run, or whether each that was met suits its
    /// alignment.
    #[inline(never)]
    pub(super) fn words(&mut self, first: u32, free: &[u64]) -> ControlFlow<u32, bool> {
        self.misaligned = false;
        for (bit, free) in (first..).step_by(64).zip(free) {
            if let Some(found) = self.word(bit, *free) {
                return ControlFlow::Break(found);
            }
        }
        ControlFlow::Continue(!self.misaligned)
    }

    /// Whether there can be a run that begins or ends in these words, and is no longer than them at their ends: a run of at
    /// least 2^n has in it 2^(n-1) bits that begin at a multiple of 2^(n-1), which no two words share.
    #[inline(never)]
    pub(super) fn may_have(&self, free: &Words) -> bool {
        if self.steps == WHOLE_WORDS {
            return free.contains(&!0);
        }
        // A long run has at least 2^6 bits, not 2^7.
        let steps = self.steps.clamp(1, 6) - 1;
        let mut groups = *free;
        for step in 0..steps {
            groups.iter_mut().for_each(|group| *group &= *group >> (1 << step));
        }
        groups.iter().fold(0, |any, group| any | group) & EVERY[steps as usize] != 0
    }

    /// Where runs start that end in the same word.
    #[inline]
    fn starts(&self, free: u64) -> u64 {
        let starts = (0..self.steps).fold(free, |starts, step| starts & starts >> (1 << step));
        starts & starts >> self.last
    }
}

/// How many bits are free at the start of these words.
#[inline(never)]
pub(super) fn head(free: &[u64]) -> u32 {
    let mut head = 0;
    for word in free {
        head += word.trailing_ones();
        if *word != !0 {
            break;
        }
    }
    head
}

/// How many are free at their end.
#[inline]
pub(super) fn tail(free: &[u64]) -> u32 {
    let mut tail = 0;
    for word in free.iter().rev() {
        tail += word.leading_ones();
        if *word != !0 {
            break;
        }
    }
    tail
}
