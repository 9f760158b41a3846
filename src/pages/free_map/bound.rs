//! What a search that looked at a block in vain leaves for the next one.
//!
//! A bound says of a block: no run *within* it is longer than `inner`, at most `head` bits are free at its start and
//! `tail` at its end. Runs over several blocks are put together by whoever searches, so a bound depends on the words of
//! its own block alone. Claims leave it true. An un-claim does not, so *first it clears the bits, then it makes the
//! bound unknown*. What must not happen is that a search which read the words before puts a bound there after.
//!
//! # Who may write what
//! A block's bound is in one of these states:
//!
//! | from | to | by |
//! |---|---|---|
//! | unknown, known | being measured | a search, before it reads the words |
//! | being measured | known, unknown | that search |
//! | being measured | spoiled | an un-claim, after it has cleared its bits |
//! | spoiled | unknown | that search |
//! | known | unknown | an un-claim, after it has cleared its bits |
//!
//! Only who set *being measured* ends it, so there is no moment at which it can be taken for another's; no count is
//! needed. A search that is interrupted, or never goes on, leaves a block without a bound, which is always right: it
//! is looked at. Nobody waits, and a search tries each exchange once: a handler that changes bounds after its every
//! instruction does not keep it. (An un-claim tries until the bound says so, and each failure is another's progress.)
//!
//! # Why no bound is too low
//! Let a search mark a block (`m`), read a word (`r`), and make the bound known; let an un-claim clear bits of that word
//! (`c`), then look at the bound (`l`). All four are `SeqCst`, so there is one order of them, in which `m` is before
//! `r` and `c` before `l`. If `r` did not see `c`, it is before `c`, so `m` is before `l`: the un-claim sees the mark, or
//! what came after, and spoils it or takes it back. If `r` saw `c`, the bound counts those bits as free. So once an
//! un-claim has ended, no bound is lower than what it made room for, and whoever it happens before finds its run.
//!
//! Between its clear and its look an un-claim is not over: a search that interrupts it there may find a bound from
//! before, as if the pages were not free yet. (An arena counts its un-claims, and answers `Busy` then.)
//!
//! No barrier is paid for that: the clear is a locked instruction on `x86_64`, where the others are plain loads; on
//! aarch64 it is `ldclral`, which an `ldar` does not overtake. Only a search that measures writes, and it is at leisure.
//! Loom takes `SeqCst` accesses for AcqRel and knows fences alone; so a model has a fence at the same two places.
//!
//! # How it is written
//! Two blocks share a word, half each: from bit 0 a number of 10 bits that is 0 (unknown), 1 (being measured),
//! 2 (spoiled), 511 (all 512 free) or 1023 - `inner`; `head` and `tail`, 9 bits each, and behind each of the three a bit
//! that is clear. One addition then tells for both blocks that neither has a run, nor half of one at an end.

use super::BLOCK_BITS;
use crate::sync::{AtomicU64, Ordering};

const STATE: u64 = 0x3ff;
const UNKNOWN: u64 = 0;
const MEASURING: u64 = 1;
const SPOILED: u64 = 2;
/// What `inner` is counted down from: a length in bits, or [`WHOLE`].
const TOP: u64 = 1023;
/// All bits of the block are free. (A model's blocks are shorter, but no less whole.)
const WHOLE: u64 = 512;
const HEAD_SHIFT: u32 = 11;
const TAIL_SHIFT: u32 = 21;
const END_BITS: u64 = 0x1ff;
const HALF: u32 = 32;
/// Bits behind the three numbers, of both halves.
const CARRIES: u64 = both(1 << 10 | 1 << 20 | 1 << 30);
/// Those of them that the addition sets where no run can be.
const PASSED: u64 = both(1 << 10);

const fn both(half: u64) -> u64 {
    half << HALF | half
}

/// The bound of one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'a> {
    /// The word that it shares with its neighbour.
    pub(crate) pair: &'a AtomicU64,
    /// Which half of it: 0 or 1.
    pub(crate) half: u32,
}

/// What is known of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// No run within the block is longer.
    pub(super) inner: u32,
    /// At most so many bits are free at its start.
    pub(super) head: u32,
    /// At most so many bits are free at its end.
    pub(super) tail: u32,
}

impl Known {
    /// All of the block is free.
    pub(super) const ALL: Self = Self { inner: BLOCK_BITS, head: BLOCK_BITS, tail: BLOCK_BITS };

    /// None of a block is free.
    pub(super) const NOTHING: Self = Self { inner: 0, head: 0, tail: 0 };

    /// Two blocks are wholly free.
    pub(super) const BOTH_ALL: u64 = both(TOP - WHOLE);

    pub(super) const fn is_whole(self) -> bool {
        self.head == BLOCK_BITS
    }

    /// What `half` of a word says.
    pub(super) fn of(pair: u64, half: u32) -> Option<Self> {
        let bits = pair >> (half * HALF);
        let number = |shift: u32| u32::try_from(bits >> shift & END_BITS).unwrap_or(BLOCK_BITS);
        match TOP - (bits & STATE) {
            WHOLE => Some(Self::ALL),
            inner if inner < WHOLE => {
                let inner = u32::try_from(inner).unwrap_or(BLOCK_BITS);
                Some(Self { inner, head: number(HEAD_SHIFT), tail: number(TAIL_SHIFT) })
            }
            _ => None,
        }
    }

    fn to_bits(self) -> u64 {
        if self.is_whole() {
            return TOP - WHOLE;
        }
        let (inner, head, tail) = (u64::from(self.inner), u64::from(self.head), u64::from(self.tail));
        (TOP - inner.min(WHOLE - 1)) | (head << HEAD_SHIFT) | (tail << TAIL_SHIFT)
    }
}

/// A test of two bounds at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairTest {
    added: u64,
    /// A run over blocks that pass has less than this many bits in each of any two.
    pub(super) end: u32,
}

impl PairTest {
    /// For runs of `count`.
    pub(super) fn new(count: u32) -> Self {
        let end = count.div_ceil(2);
        let (inner, ends) = (u64::from(count).min(WHOLE), WHOLE - u64::from(end).min(WHOLE));
        Self { added: both(inner | ends << HEAD_SHIFT | ends << TAIL_SHIFT), end }
    }

    /// Whether both bounds are known, and leave no room: every run within is shorter than `count`, and every end that is
    /// free shorter than half of it (so is no block whole).
    #[inline]
    pub(crate) fn passes(self, pair: &AtomicU64) -> bool {
        // Relaxed, as all that goes by bounds: an un-claim that happened before has made this one unknown.
        let pair = pair.load(Ordering::Relaxed);
        // Neither sum reaches the next number: 1023 + 512 and 511 + 512 have their top bit behind their own.
        (pair + self.added) & CARRIES == PASSED
    }
}

impl Bound<'_> {
    /// A word whose second half is no block's: nobody ever measures it.
    pub(crate) const FIRST_ONLY: u64 = SPOILED << HALF;

    pub(super) fn load(self) -> u64 {
        // Relaxed: an un-claim that happened before has made it unknown.
        self.pair.load(Ordering::Relaxed)
    }

    /// How many bits are free at the block's end, at most, of a bound that has passed a test.
    pub(super) fn tail(self) -> u32 {
        Known::of(self.load(), self.half).map_or(BLOCK_BITS, |known| known.tail)
    }

    pub(super) fn is_unknown(self) -> bool {
        self.state(self.load()) == UNKNOWN
    }

    const fn state(self, pair: u64) -> u64 {
        pair >> (self.half * HALF) & STATE
    }

    const fn with(self, pair: u64, bits: u64) -> u64 {
        let kept = pair & !(0xffff_ffff << (self.half * HALF));
        kept | bits << (self.half * HALF)
    }

    /// The block has bits that may not be counted as free: called after they were cleared.
    #[inline]
    pub(super) fn reset(self) {
        #[cfg(kernel_arena_loom)]
        crate::sync::fence(Ordering::SeqCst);
        let seen = self.pair.load(Ordering::SeqCst);
        // Most often nothing is known of either block.
        if seen != both(UNKNOWN) && !matches!(self.state(seen), UNKNOWN | SPOILED) {
            self.reset_known(seen);
        }
    }

    #[cold]
    fn reset_known(self, mut seen: u64) {
        loop {
            let to = match self.state(seen) {
                UNKNOWN | SPOILED => return,
                MEASURING => SPOILED,
                _ => UNKNOWN,
            };
            match self.pair.compare_exchange_weak(seen, self.with(seen, to), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

/// The right to measure one or both blocks of a pair, held by one search.
#[derive(Debug)]
pub(super) struct Measure<'a> {
    pair: &'a AtomicU64,
    /// What was known before, for each half that is being measured.
    before: [Option<Option<Known>>; 2],
}

impl<'a> Measure<'a> {
    /// Marks those of the `halves` of the pair that nobody else measures: before their words are read.
    #[inline(never)]
    pub(super) fn begin(pair: &'a AtomicU64, halves: [bool; 2]) -> Self {
        let seen = pair.load(Ordering::Relaxed);
        let (mut before, mut to) = ([None; 2], seen);
        for half in (0..2).filter(|half| halves[*half as usize]) {
            let bound = Bound { pair, half };
            if !matches!(bound.state(seen), MEASURING | SPOILED) {
                before[half as usize] = Some(Known::of(seen, half));
                to = bound.with(to, MEASURING);
            }
        }
        // One attempt: a bound is a help, and a search that loses goes without.
        if to == seen || pair.compare_exchange(seen, to, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return Self { pair, before: [None; 2] };
        }
        #[cfg(kernel_arena_loom)]
        crate::sync::fence(Ordering::SeqCst);
        Self { pair, before }
    }

    /// Ends it: what was found out about each half, or else what was known before, unless bits were given back
    /// meanwhile.
    #[inline(never)]
    pub(super) fn end(self, found: [Option<Known>; 2]) {
        if self.before == [None; 2] {
            return;
        }
        let seen = self.pair.load(Ordering::Relaxed);
        let (mut to, mut measured) = (seen, 0);
        for half in 0..2 {
            let Some(before) = self.before[half as usize] else { continue };
            let bound = Bound { pair: self.pair, half };
            let known = merged(before, found[half as usize]).filter(|_| bound.state(seen) == MEASURING);
            to = bound.with(to, known.map_or(UNKNOWN, Known::to_bits));
            measured |= 0xffff_ffff << (half * HALF);
        }
        // Relaxed: nobody reads anything but this word on account of it. One attempt; then unknown, which is always right:
        // the halves that are being measured, spoiled or not, are this search's to end.
        if self.pair.compare_exchange(seen, to, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            self.pair.fetch_and(!measured, Ordering::Relaxed);
        }
    }
}

/// Measures both blocks of a pair of which nothing is known, where all that is asked is whether they are full: what
/// [`Measure`] does, without what it keeps in mind. `look` reads their words.
#[inline]
pub(super) fn are_full(pair: &AtomicU64, look: impl FnOnce() -> bool) -> bool {
    const MARKED: u64 = both(MEASURING);
    if pair.compare_exchange(both(UNKNOWN), MARKED, Ordering::SeqCst, Ordering::Relaxed).is_err() {
        return false;
    }
    #[cfg(kernel_arena_loom)]
    crate::sync::fence(Ordering::SeqCst);
    let full = look();
    let to = if full { both(Known::NOTHING.to_bits()) } else { both(UNKNOWN) };
    // Relaxed, and one attempt: as in `Measure::end`.
    if pair.compare_exchange(MARKED, to, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        pair.fetch_and(both(UNKNOWN), Ordering::Relaxed);
    }
    full
}

/// What was found out, and of what was known before what says more.
fn merged(before: Option<Known>, found: Option<Known>) -> Option<Known> {
    match (before, found) {
        (Some(before), Some(found)) => Some(Known { inner: before.inner.min(found.inner), ..found }),
        (before, found) => found.or(before),
    }
}
