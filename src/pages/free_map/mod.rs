//! Which of many bits are free, and where a run of them is: claimed and un-claimed by all CPUs at once, without a lock.
//!
//! One bit each says *taken*; it alone is the truth. Bits are kept in *blocks* of 512. What stands above them only says
//! where it is no use to look:
//! - a *note* a block: nothing here is free. A pure hint, set by whoever fills a block;
//! - a *bound* a block (`bound`): no run within it is longer than so much, at most so many free bits at its start and
//!   end. Set by searches that looked in vain, so that the next one need not; never too low for what was given back.
//!
//! A search (`search`) goes from the lowest block up and looks at the words of those that may have, or finish, a run; it
//! finds the lowest. It fails only if no bound of any block leaves room for one: what a note says is tried again without.
//!
//! Where the words are is the business of a [`Blocks`]: side by side in lent memory ([`FlatMap`]), or in the pages of
//! a pool's ledger.
//!
//! # Orderings
//! A claim is Acquire, an un-claim Release (and more, see `bound`): who claims a bit sees all that its last holder did.

use core::ops::Range;

use super::masks;
use crate::sync::{AtomicU64, Ordering};

mod bound;
mod flat;
mod recent;
mod scan;
mod search;
#[cfg(all(test, not(kernel_arena_loom)))]
mod tests;
mod wanted;

pub(crate) use bound::{Bound, PairTest};
pub(crate) use flat::{FlatMap, Guess};
use recent::Recent;
pub(crate) use search::{Left, LeftBy, lowest_within};
pub(crate) use wanted::Wanted;

/// Words of a block; in a model two, so that a few words are several blocks.
pub(crate) const BLOCK_WORDS: u32 = if cfg!(kernel_arena_loom) { 2 } else { 8 };
/// Bits of a block.
pub(crate) const BLOCK_BITS: u32 = BLOCK_WORDS * 64;
/// Bits of each word of a block.
pub(crate) type Words = [u64; BLOCK_WORDS as usize];

/// Where the words of a [`FreeMap`] are.
pub(crate) trait Blocks {
    /// The block after the last.
    fn end(&self) -> u32;

    /// The words of a block, at most [`BLOCK_WORDS`]; what is missing at its end is taken, and so is a block without
    /// words.
    fn words(&self, block: u32) -> Option<&[AtomicU64]>;

    /// One of all words, by number; what is missing is taken.
    #[inline]
    fn word(&self, word: u32) -> Option<&AtomicU64> {
        self.words(word / BLOCK_WORDS)?.get((word % BLOCK_WORDS) as usize)
    }

    /// The next block, from this one on, that has words; [`end`](Self::end) or more if there is none.
    #[inline]
    fn next_present(&self, block: u32) -> u32 {
        block
    }

    /// The bound of a block, if there is room for one.
    fn bound(&self, block: u32) -> Option<Bound<'_>>;

    /// The next block, from this one on, whose pair of bounds does not pass the test: the first of a pair, like this
    /// one, or [`end`](Self::end) or more.
    fn next_unpassed(&self, block: u32, test: PairTest) -> u32;

    /// The next block, from this one on, that is not noted as full; [`end`](Self::end) or more if there is none.
    fn next_open(&self, block: u32) -> u32;

    /// Whether a block is noted as full.
    fn is_noted(&self, block: u32) -> bool;

    /// Notes that a block is full.
    fn note_full(&self, block: u32);

    /// Takes the note back, if there is one.
    fn note_open(&self, block: u32);

    /// Where a bit is remembered that is free though its block is noted as full.
    #[inline]
    fn recent(&self) -> Option<&Recent> {
        None
    }
}

/// Bits that are free or taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreeMap<B>(pub(crate) B);

impl<B: Blocks> FreeMap<B> {
    #[inline]
    fn word(&self, word: u32) -> Option<&AtomicU64> {
        self.0.word(word)
    }

    /// The bits of a word that are taken.
    pub(crate) fn taken(&self, word: u32, order: Ordering) -> u64 {
        self.word(word).map_or(!0, |bits| bits.load(order))
    }

    /// Takes these bits, or none of them. Lowest word first: of those who meet, the one ahead goes on.
    ///
    /// The error is the lowest bit that was taken in the word where it failed.
    #[inline(never)]
    pub(crate) fn claim(&self, first: u32, count: u32) -> Result<(), u32> {
        let Some(mask) = mask_in_word(first, count) else { return self.claim_words(first, count) };
        let word = first / 64;
        let claimed = self.word(word).map_or(Err(mask), |bits| self.claim_in(first / BLOCK_BITS, bits, mask));
        claimed.map_err(|taken| word * 64 + taken.trailing_zeros())
    }

    /// Takes one bit: whether nobody had it.
    #[inline]
    pub(crate) fn claim_one(&self, bit: u32) -> bool {
        let Some(bits) = self.word(bit / 64) else { return false };
        let mask = 1 << (bit % 64);
        let before = bits.fetch_or(mask, Ordering::Acquire);
        // Not looked at again: a load that follows a locked instruction to its own line waits for it.
        if before | mask == !0 && before & mask == 0 {
            self.note_if_full_at(bit);
        }
        before & mask == 0
    }

    #[cold]
    #[inline(never)]
    fn note_if_full_at(&self, bit: u32) {
        self.note_if_full(bit / BLOCK_BITS);
    }

    /// The same of bits of one word, of this block. The error is those that were taken.
    #[inline]
    pub(crate) fn claim_in(&self, block: u32, bits: &AtomicU64, mask: u64) -> Result<(), u64> {
        if acquire(bits, mask)? == !0 {
            self.note_if_full(block);
        }
        Ok(())
    }

    fn claim_words(&self, first: u32, count: u32) -> Result<(), u32> {
        for (word, mask) in masks(first, count) {
            if let Err(taken) = self.word(word).map_or(Err(mask), |bits| acquire(bits, mask)) {
                self.unclaim(first, (word * 64).saturating_sub(first));
                return Err(word * 64 + taken.trailing_zeros());
            }
        }
        blocks(first, count).for_each(|block| self.note_if_full(block));
        Ok(())
    }

    /// Gives bits back that the caller has: first the bits, then what bounds and notes say of their blocks.
    ///
    /// `SeqCst`: Release, so that the next holder sees all that was done; and no search that missed one of these clears
    /// has its bound believed (`bound`).
    #[inline(never)]
    pub(crate) fn unclaim(&self, first: u32, count: u32) {
        if count == 1 {
            return self.unclaim_one(first);
        }
        let Some(mask) = mask_in_word(first, count) else { return self.unclaim_words(first, count) };
        if let Some(bits) = self.word(first / 64) {
            let block = first / BLOCK_BITS;
            self.unclaim_in(block, (bits, self.0.bound(block)), mask);
        }
    }

    /// Gives one bit back.
    #[inline]
    pub(crate) fn unclaim_one(&self, bit: u32) {
        if let Some(bits) = self.word(bit / 64) {
            bits.fetch_and(!(1 << (bit % 64)), Ordering::SeqCst);
            let block = bit / BLOCK_BITS;
            if let Some(bound) = self.0.bound(block) {
                bound.reset();
            }
            if self.0.is_noted(block) {
                self.remember(bit);
            }
        }
    }

    /// The same of bits of one word, of a block with this bound.
    #[inline]
    pub(crate) fn unclaim_in(&self, block: u32, (bits, bound): (&AtomicU64, Option<Bound<'_>>), mask: u64) {
        bits.fetch_and(!mask, Ordering::SeqCst);
        self.opened(block, bound);
    }

    fn unclaim_words(&self, first: u32, count: u32) {
        for (bits, mask) in masks(first, count).filter_map(|(word, mask)| Some((self.word(word)?, mask))) {
            bits.fetch_and(!mask, Ordering::SeqCst);
        }
        blocks(first, count).for_each(|block| self.opened(block, self.0.bound(block)));
    }

    /// Bits of a block were cleared.
    #[inline]
    fn opened(&self, block: u32, bound: Option<Bound<'_>>) {
        if let Some(bound) = bound {
            bound.reset();
        }
        self.0.note_open(block);
    }

    /// Notes a block that is full; takes the note back if somebody gave a bit back meanwhile. A note that is wrong all
    /// the same costs a search a second look, never a run.
    #[cold]
    fn note_if_full(&self, block: u32) {
        // Then no bit of it is free but the one that is remembered, which was claimed just now.
        if self.0.is_noted(block) {
            return;
        }
        let is_full = || {
            let words = self.0.words(block);
            words.is_none_or(|words| words.iter().all(|word| word.load(Ordering::Relaxed) == !0))
        };
        if is_full() {
            self.0.note_full(block);
            if !is_full() {
                self.0.note_open(block);
            }
        }
    }
}

/// Sets bits of one word if all of them were clear. Acquire: pairs with un-claiming.
///
/// Returns the word as it is now, or those of the bits that were set already.
#[inline]
fn acquire(bits: &AtomicU64, mask: u64) -> Result<u64, u64> {
    let mut seen = bits.load(Ordering::Relaxed);
    loop {
        if seen & mask != 0 {
            return Err(seen & mask);
        }
        match bits.compare_exchange_weak(seen, seen | mask, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Ok(seen | mask),
            Err(now) => seen = now,
        }
    }
}

/// The bits of a run that lies within one word.
#[inline]
pub(crate) const fn mask_in_word(first: u32, count: u32) -> Option<u64> {
    let end = first % 64 + count;
    // The run ends at bit `end`, and is not empty.
    if count != 0 && end <= 64 { Some(!0 >> (64 - count) << (first % 64)) } else { None }
}

/// The blocks of a run.
fn blocks(first: u32, count: u32) -> Range<u32> {
    let end = first + count;
    if count == 0 { 0..0 } else { first / BLOCK_BITS..(end - 1) / BLOCK_BITS + 1 }
}
