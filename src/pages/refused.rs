//! What the last refusal found, so that the next one need not look.
//!
//! A search that met nobody and found no run of so many pages says so here, with the moment of its search. As long as that
//! is still the moment, nothing was given back since, and pages only become free by being given back: a run as long, or
//! longer, is refused without a look. So whoever asks again and again, as a program may, costs a few loads each time.
//!
//! One word says both, so nobody can see a half of it: in bits 20:0 the length, 0 for none, and above it 43 bits of what tells
//! moments apart. They come round after 2^43 operations that gave pages back: ten days of ten million a second, without one
//! refusal, and then only in this very state.
//!
//! # Orderings
//! The word is stored with Release after the search and its second look at the counts, and loaded with Acquire before the
//! next look at them: what the next one counts is what the first one counted, or later. If it is the same, then nothing
//! that was given back in between comes before this request.

use crate::sync::{AtomicU64, Line, Ordering};

/// Bits of the length: runs have at most 2^20 pages.
const LENGTH_BITS: u32 = 21;
const LENGTH: u64 = (1 << LENGTH_BITS) - 1;

/// The last refusal.
#[derive(Debug)]
pub(super) struct Refused(Line<AtomicU64>);

impl Refused {
    pub(super) fn none() -> Self {
        Self(Line(AtomicU64::new(0)))
    }

    /// Whether there was no run of `count` pages when a search saw this, and nothing was given back since. `now` counts what
    /// was given back, unless somebody is in the midst of it.
    pub(super) fn still(&self, count: u32, now: impl FnOnce() -> Option<u64>) -> bool {
        let word = self.0.0.load(Ordering::Acquire);
        let length = word & LENGTH;
        length != 0 && length <= u64::from(count) && now().is_some_and(|moment| moment << LENGTH_BITS == word - length)
    }

    /// There is no run of `count` pages, as a search found that met nobody since `moment`.
    pub(super) fn note(&self, count: u32, moment: u64) {
        self.0.0.store(moment << LENGTH_BITS | u64::from(count), Ordering::Release);
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::super::passing::Passing;
    use super::*;

    #[test]
    fn a_refusal_holds_for_longer_runs_until_something_is_given_back() {
        let (refused, passing) = (Refused::none(), Passing::new());
        let still = |count| refused.still(count, || passing.now().quiet());
        assert!(!still(1) && !still(1 << 20), "nobody was refused");
        refused.note(16, passing.now().quiet().unwrap());
        assert!(!still(15) && still(16) && still(1 << 20));
        // In a place, and in the crowd: while it lasts, and after it.
        let first = passing.begin(0);
        assert!(!still(16), "something is being given back");
        let second = passing.begin(0);
        drop(first);
        assert!(!still(16), "another gives back");
        drop(second);
        assert!(!still(16), "they have given back");
        refused.note(1, passing.now().quiet().unwrap());
        assert!(still(1) && still(16));
        // Two in places of their own: together they add an even number, but they are there.
        let both = (passing.begin(0), passing.begin(512));
        assert!(!still(1));
        drop(both);
        assert!(!still(1));
    }
}
