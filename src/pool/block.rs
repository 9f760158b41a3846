//! Blocks: runs that somebody was given, and that are taken back from nobody else.

use super::ledger::Ledger;
use super::page::Page;
use super::record::PAGE_GRANULES;
use super::run::Run;
use crate::misuse::Misuse;
use crate::sync::Ordering;

impl Page<'_> {
    /// Makes a block of a run that the caller has: its end first, for with its start it is somebody's.
    #[inline]
    pub(super) fn publish(self, run: Run) {
        if let Some(end) = self.end(run.last()) {
            // Release, as in `retract`, for the sake of those who look without having a right to.
            end.word.fetch_or(end.bit, Ordering::Release);
            self.start(run.first).publish();
        }
    }

    /// Takes a block away from its holder if it starts at `first` and has `size` bytes. The granules are the caller's
    /// then.
    #[inline]
    pub(super) fn retract(self, first: u32, size: usize) -> Result<Run, Misuse> {
        let start = self.start(first);
        loop {
            // Acquire: pairs with `publish`.
            let seen = start.word.load(Ordering::Acquire);
            if seen & start.bit == 0 {
                return Err(self.ledger().why_no_start(first));
            }
            let Some(run) = Run::sized(first, size).filter(|run| self.is_whole(*run)) else {
                // The ends were loaded with Acquire, after `seen`: if one of them belongs to a newer block, or is
                // missing because the block was freed, then the start's word is a newer one too, and another look is
                // due.
                if start.word.load(Ordering::Relaxed) == seen {
                    return Err(Misuse::WrongSize);
                }
                continue;
            };
            // The right to free. If the word is still the same, the block was there all the time, and what was found of
            // its ends is true.
            let without = seen & !start.bit;
            if start.word.compare_exchange(seen, without, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                if let Some(end) = self.end(run.last()) {
                    end.word.fetch_and(!end.bit, Ordering::Release);
                }
                return Ok(run);
            }
        }
    }

    /// Whether a block that starts with this run ends with it.
    #[inline]
    fn is_whole(self, run: Run) -> bool {
        match (run.in_word(), self.end(run.last())) {
            (Some(mask), Some(end)) => end.word.load(Ordering::Acquire) & mask == end.bit,
            _ => self.ledger().is_whole(run),
        }
    }
}

impl Ledger {
    /// Whether a block that starts with this run ends with it, of however many words.
    #[inline(never)]
    fn is_whole(&self, run: Run) -> bool {
        let last = run.last();
        run.words().all(|(word, mask)| {
            let ends = self.ends(word).map_or(0, |ends| ends.load(Ordering::Acquire) & mask);
            ends == if word == last / 64 { 1 << (last % 64) } else { 0 }
        })
    }

    /// What there is instead of the start of a live block.
    #[cold]
    fn why_no_start(&self, granule: u32) -> Misuse {
        if self.chunk_of(granule / PAGE_GRANULES).is_none() {
            Misuse::NoObjects
        } else if self.is_taken(granule) && self.goes_on_after(granule.wrapping_sub(1)) {
            Misuse::NotAtStart
        } else {
            // Free, or the first granule of a block that somebody is about to publish, or has just taken away.
            Misuse::NotLive
        }
    }

    fn is_taken(&self, granule: u32) -> bool {
        self.taken_bits(granule / 64) & (1 << (granule % 64)) != 0
    }

    /// Whether a granule is part of a block, and not its last.
    fn goes_on_after(&self, granule: u32) -> bool {
        let ends = self.ends(granule / 64).map_or(0, |ends| ends.load(Ordering::Relaxed));
        self.chunk_of(granule / PAGE_GRANULES).is_some() && self.is_taken(granule) && ends & (1 << (granule % 64)) == 0
    }
}
