//! Whether anybody gives pages back while a search looks in vain.
//!
//! Guards: a search that found nothing, and met nobody, has seen all that was given back by whoever had ended before it (a
//! place is taken with Acquire and left with Release); and one that saw what was given back meanwhile knows that it met
//! somebody (un-claimed with Release, and a fence between the search and the second look).

use std::sync::Arc;

use kernel_arena::sync::{AtomicU64, Ordering};

use crate::explore::{UNBOUNDED, explore_without_arena, preemptions_if_long};
use crate::operations::Passing;
use crate::race::{race, race_of_three};

struct Pages {
    passing: Passing,
    claimed: AtomicU64,
}

impl Pages {
    fn new() -> Arc<Self> {
        Arc::new(Self { passing: Passing::new(), claimed: AtomicU64::new(0b11) })
    }

    /// An operation that gives one page back.
    fn give(&self, page: u32) {
        let _giving_back = self.passing.begin(page);
        self.claimed.fetch_and(!(1 << page), Ordering::Release);
    }
}

/// Two operations against a search: they meet in the one place that there is, or follow each other in it.
fn search(name: &str, bound: Option<usize>) {
    explore_without_arena(name, bound, 3, |first| {
        let pages = Pages::new();
        let at_rest = pages.passing.now();
        let look = |pages: &Pages| {
            let before = pages.passing.now();
            let claimed = pages.claimed.load(Ordering::Relaxed);
            (before, claimed, pages.passing.none_since(before))
        };
        let ((), (), (before, claimed, nobody)) =
            race_of_three(first, &pages, |pages| pages.give(0), |pages| pages.give(1), look);
        let ended = pages.passing.now();
        assert!(pages.passing.none_since(ended), "nobody is left");
        if before == ended {
            assert_eq!(claimed, 0, "what was given back before is not seen");
        }
        if nobody && before == at_rest {
            assert_eq!(claimed, 0b11, "who gave this back was not met");
        }
    });
}

#[test]
fn a_search_that_met_nobody_has_seen_all_that_was_given_back() {
    search("two operations and a search", preemptions_if_long(2, 3));
}

/// While one operation is in the place, another, which it was interrupted by, begins and ends.
#[test]
fn an_operation_that_was_interrupted_by_another_is_still_met() {
    explore_without_arena("an operation in another, and a search", UNBOUNDED, 2, |first| {
        let pages = Pages::new();
        let interrupted = |pages: &Pages| {
            let _giving_back = pages.passing.begin(0);
            pages.give(1);
            pages.claimed.fetch_and(!1, Ordering::Release);
        };
        let look = |pages: &Pages| {
            let before = pages.passing.now();
            let claimed = pages.claimed.load(Ordering::Relaxed);
            (claimed, pages.passing.none_since(before))
        };
        let ((), (claimed, nobody)) = race(first, &pages, interrupted, look);
        assert!(!nobody || claimed != 0b01, "the one that was interrupted was not met");
        assert!(pages.passing.none_since(pages.passing.now()), "nobody is left");
    });
}
