//! Whether pages are being given back at this moment: what a refusal needs to know.
//!
//! Whoever is going to un-claim pages of a large arena says so before the first, and again after the last. One word
//! counts both. A search that found nothing, with the same word before and after it, and nobody in the middle, met nobody:
//! there was no run, and none was on its way. Otherwise another try may find one.

use crate::sync::{AtomicU64, Line, Ordering, fence};

/// The low half counts operations that have begun and not ended, the high half those that have ended, modulo 2^32, which
/// nobody sleeps through.
const BEGUN: u64 = 1;
/// One less in the low half, which carries, one more in the high half.
const ENDED: u64 = (1 << 32) - 1;

/// Operations that give pages back.
#[derive(Debug)]
pub(super) struct Passing(Line<AtomicU64>);

/// What was counted at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(u64);

/// An operation that gives pages back, until it is dropped.
#[derive(Debug)]
#[must_use = "it is over when this is dropped"]
pub(crate) struct GivingBack<'a>(&'a AtomicU64);

impl Passing {
    pub(super) fn new() -> Self {
        Self(Line(AtomicU64::new(0)))
    }

    /// Relaxed: the un-claims that follow are Release, and whoever sees one of them sees this.
    pub(super) fn begin(&self) -> GivingBack<'_> {
        self.0.0.fetch_add(BEGUN, Ordering::Relaxed);
        GivingBack(&self.0.0)
    }

    /// Before a search. Acquire: what has ended is seen by it.
    pub(super) fn now(&self) -> Moment {
        Moment(self.0.0.load(Ordering::Acquire))
    }

    /// After a search: whether nothing was given back since `before`, nor was about to be. The fence makes the search's
    /// loads, if one of them saw an un-claim, show its beginning here.
    pub(super) fn none_since(&self, before: Moment) -> bool {
        fence(Ordering::Acquire);
        let now = self.0.0.load(Ordering::Relaxed);
        now == before.0 && now & ENDED == 0
    }
}

impl Drop for GivingBack<'_> {
    fn drop(&mut self) {
        // Release: pairs with `now`.
        self.0.fetch_add(ENDED, Ordering::Release);
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_search_that_met_nobody_has_the_last_word() {
        let passing = Passing::new();
        let before = passing.now();
        assert!(passing.none_since(before));
        let first = passing.begin();
        assert!(!passing.none_since(before) && !passing.none_since(passing.now()), "in the middle");
        let second = passing.begin();
        drop(first);
        let between = passing.now();
        assert!(!passing.none_since(between), "another is");
        drop(second);
        assert!(!passing.none_since(between), "it ended meanwhile");
        assert!(passing.none_since(passing.now()));
    }

    #[test]
    fn the_count_of_ends_comes_round() {
        let passing = Passing(Line(AtomicU64::new(u64::from(u32::MAX) << 32)));
        drop(passing.begin());
        assert_eq!(passing.now(), Moment(0));
    }
}
