//! Blocks: runs that somebody was given, and that are taken back from nobody else.

use super::ledger::Ledger;
use super::record::PAGE_GRANULES;
use super::run::Run;
use crate::misuse::Misuse;
use crate::sync::Ordering;

impl Ledger {
    /// Makes a block of a run that the caller has: its end first, for with its start it is somebody's.
    pub(super) fn publish(&self, run: Run) {
        let last = run.last();
        if let (Some(ends), Some(start)) = (self.ends(last / 64), self.start(run.first)) {
            // Release, as in `retract`, for the sake of those who look without having a right to.
            ends.fetch_or(1 << (last % 64), Ordering::Release);
            start.publish();
        }
    }

    /// Takes a block away from its holder if it starts at `first` and has `size` bytes. The granules are the caller's
    /// then.
    pub(super) fn retract(&self, first: u32, size: usize) -> Result<Run, Misuse> {
        let start = self.start(first).ok_or(Misuse::NoObjects)?;
        loop {
            // Acquire: pairs with `publish`.
            let seen = start.word.load(Ordering::Acquire);
            if seen & start.bit == 0 {
                return Err(self.why_no_start(first));
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
                let last = run.last();
                if let Some(ends) = self.ends(last / 64) {
                    ends.fetch_and(!(1 << (last % 64)), Ordering::Release);
                }
                return Ok(run);
            }
        }
    }

    /// Whether a block that starts with this run ends with it.
    fn is_whole(&self, run: Run) -> bool {
        let last = run.last();
        run.words().all(|(word, mask)| {
            let ends = self.ends(word).map_or(0, |ends| ends.load(Ordering::Acquire) & mask);
            ends == if word == last / 64 { 1 << (last % 64) } else { 0 }
        })
    }

    /// What there is instead of the start of a live block.
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
