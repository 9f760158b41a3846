//! What a refusal leaves for the next one.
//!
//! Guards: a refusal that is taken for granted is one of a moment after which nothing was given back, as far as whoever asks
//! could know: not by having seen it, nor by coming after it (the refusal is noted with Release and read with Acquire).

use std::sync::Arc;

use kernel_arena::sync::{AtomicU64, Ordering};

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
        self.refused.still(1, || self.passing.now().quiet())
    }

    /// Gives the one page back.
    fn give(&self) {
        let _giving_back = self.passing.begin(0);
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
        if self.passing.none_since(before) {
            if let Some(moment) = before.quiet() {
                self.refused.note(1, moment);
            }
        }
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
        assert!(pages.look());
    });
}

/// Those who give back are counted in several places, and what tells moments apart is a sum: who reads a note must not count
/// less in one place than the search did, and more in another.
#[test]
fn a_moment_is_not_taken_for_another_with_the_same_sum() {
    struct Places {
        of_page: [Passing; 2],
        refused: Refused,
        claimed: AtomicU64,
    }
    impl Places {
        fn give(&self, page: usize) {
            let _giving_back = self.of_page[page].begin(0);
            self.claimed.fetch_and(!(1 << page), Ordering::Release);
        }
        fn quiet(&self) -> Option<u64> {
            self.of_page.iter().map(|place| place.now().quiet()).sum()
        }
    }
    explore_without_arena("a refusal in another place", UNBOUNDED, 2, |first| {
        let place = Passing::new;
        let claimed = AtomicU64::new(0b11);
        let places = Arc::new(Places { of_page: [place(), place()], refused: Refused::none(), claimed });
        let refused = |places: &Places| {
            places.give(0);
            places.claimed.fetch_or(1, Ordering::Acquire);
            let before = places.of_page.each_ref().map(Passing::now);
            let moment = places.quiet();
            let all_taken = places.claimed.load(Ordering::Relaxed) == 0b11;
            if let (true, Some(moment)) = (all_taken, moment) {
                if places.of_page.iter().zip(before).all(|(place, before)| place.none_since(before)) {
                    places.refused.note(1, moment);
                }
            }
        };
        let give = |places: &Places| {
            places.give(1);
            assert!(!places.refused.still(1, || places.quiet()), "it had given a page back");
        };
        let ((), ()) = race(first, &places, refused, give);
    });
}
