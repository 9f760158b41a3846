//! What a refusal leaves for the next one.
//!
//! Guards: a refusal that is taken for granted is one of a moment after which nothing was given back, as far as whoever asks
//! could know: not by having seen it, nor by coming after it. Who gives back is counted before it looks whether somebody was
//! refused; who was refused marks that before it counts.
//!
//! Of these four steps loom does not see all that C11 says. A load behind a `SeqCst` fence does not miss a `SeqCst` store that comes
//! before the fence; in loom 0.7 it may, unless a fence stands behind the store, too. And a `SeqCst` load that comes after a `SeqCst`
//! store of the same word may read, in loom, an older value, if that was not stored so: here it is the word's first, or what
//! a search has left by a Relaxed exchange. So who gives back here executes a fence between the two. With it a look that is Relaxed
//! passes, and without it the right one fails as well: that it must be `SeqCst` is argued in `pages::refused`, and not seen here.

use std::sync::Arc;

use kernel_arena::sync::{AtomicU64, Ordering};
use loom::sync::atomic::fence;

use crate::explore::{UNBOUNDED, explore_without_arena, preemptions_if_long};
use crate::operations::Passing;
use crate::race::{race, race_of_three};
use crate::refusal::Refused;

struct Pages {
    passing: Passing,
    refused: Refused,
    claimed: AtomicU64,
}

impl Pages {
    fn new() -> Arc<Self> {
        Arc::new(Self { passing: Passing::new(), refused: Refused::none(), claimed: AtomicU64::new(1) })
    }

    fn is_refused(&self) -> bool {
        self.refused.holds_for(1)
    }

    /// Gives the one page back.
    fn give(&self) {
        let _giving_back = self.passing.begin(0);
        // For loom alone (see above).
        fence(Ordering::SeqCst);
        self.refused.forget();
        self.claimed.fetch_and(!1, Ordering::Release);
    }

    /// Looks for a page, as an allocation does: whether there is one.
    fn look(&self) -> bool {
        if self.is_refused() {
            return false;
        }
        let before = self.passing.now();
        if self.claimed.load(Ordering::Relaxed) == 0 {
            return true;
        }
        self.refused.note(1, || self.passing.none_since(before));
        false
    }
}

/// One gives back, one looks, and one that has seen the page free is not refused.
#[test]
fn nobody_is_refused_who_has_seen_what_was_given_back() {
    explore_without_arena("a refusal, and who has seen better", preemptions_if_long(3, 4), 3, |first| {
        let pages = Pages::new();
        let ask = |pages: &Pages| {
            let has_seen = pages.claimed.load(Ordering::Acquire) == 0;
            assert!(!(has_seen && pages.is_refused()), "it had seen the page free");
        };
        let _all = race_of_three(first, &pages, |pages| pages.give(), |pages| _ = pages.look(), ask);
        assert!(!pages.is_refused() && pages.look(), "the page was given back");
    });
}

/// What one is refused for, and notes, the other takes for granted: both before the page is given back, or neither.
#[test]
fn nobody_is_refused_who_comes_after() {
    explore_without_arena("two refusals", UNBOUNDED, 2, |first| {
        let pages = Pages::new();
        assert!(!pages.look());
        let give = |pages: &Pages| {
            pages.give();
            assert!(pages.look(), "it had given a page back");
        };
        let ((), _) = race(first, &pages, give, |pages| pages.look());
        assert!(pages.look(), "the page was given back");
    });
}

/// Two look in vain, and what one of them is still checking is never taken for what the other has checked.
#[test]
fn a_check_is_not_taken_for_anothers() {
    explore_without_arena("two refusals, and who gives back", preemptions_if_long(3, 4), 3, |first| {
        let pages = Pages::new();
        let give = |pages: &Pages| {
            pages.give();
            assert!(pages.look(), "it had given a page back");
        };
        let _all = race_of_three(first, &pages, |pages| _ = pages.look(), |pages| _ = pages.look(), give);
        assert!(pages.look(), "the page was given back");
    });
}

/// While one gives a page back, another that it was interrupted by gives back, too: that one is counted elsewhere.
#[test]
fn who_is_counted_elsewhere_is_not_missed() {
    explore_without_arena("a refusal, and one within another who gives back", UNBOUNDED, 2, |first| {
        let pages = Pages::new();
        let give = |pages: &Pages| {
            let _interrupted = pages.passing.begin(0);
            pages.give();
            assert!(!pages.is_refused(), "it had given a page back");
        };
        let ((), _) = race(first, &pages, give, |pages| pages.look());
        assert!(pages.look(), "the page was given back");
    });
}
