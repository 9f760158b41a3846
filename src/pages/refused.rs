//! What the last refusal found, so that the next one need not look.
//!
//! A search that met nobody and found no run of so many pages says so here, and whoever gives pages back takes it away before the
//! first. Pages only become free by being given back: while it stands, a run as long, or longer, is refused by a look at one
//! word. So whoever asks again and again, as a program may, costs little.
//!
//! # Who may write what
//! | from | to | by |
//! |---|---|---|
//! | nothing, a length | a length, being checked | a search that has found nothing |
//! | a length, being checked | a length, or nothing | that search, when it has counted once more who gave back |
//! | a length, being checked | nothing, being checked | who gives back, when it has been counted |
//! | nothing, being checked | nothing | that search |
//! | a length | nothing | who gives back, when it has been counted |
//!
//! Only who set *being checked* ends it, so it is never taken for another's. A search that is interrupted there, or never goes on,
//! leaves a word that refuses nobody. Nobody waits, and nobody tries twice.
//!
//! # Why nobody is refused who comes after
//! Who gives back is counted (`c`, `passing`), looks at this word (`l`), and only then un-claims. A search marks this word (`m`) and
//! then counts (`r`): the same as before it searched, and nobody in the midst of it, or it does not say what it found. `c`, `l`
//! and `m` are `SeqCst`, and a fence stands between `m` and `r`. So if `r` missed `c`, then `m` is before `c`, and `c` before `l`:
//! who gives back sees the mark, or what has become of it, and takes the length away. Whoever comes after the un-claim comes after
//! that, too, and sees it by coherence of the one word: so Relaxed is enough for the rest.
//!
//! If `l` were Relaxed, nothing would order it behind `c`, which is on another word: it could read what was there before `m`, and
//! the search miss `c`. (No model shows that: `tests/loom/refused.rs` says why.)
//!
//! On `x86_64` `c` and `m` are locked instructions, `l` is a plain load; on aarch64 `c` ends with `stlxr`, or is `ldsetal` or
//! `ldaddal`, which an `ldar` does not overtake.

use crate::sync::{AtomicU64, Line, Ordering, fence};

/// A search is counting once more; below it the length.
const CHECKING: u64 = 1 << 32;

/// The last refusal: the length of a run, 0 for none, and whether it is being checked.
#[derive(Debug)]
pub(super) struct Refused(Line<AtomicU64>);

impl Refused {
    pub(super) fn none() -> Self {
        Self(Line(AtomicU64::new(0)))
    }

    /// Whether there was no run of `count` pages, one at least, when a search looked, and nothing was given back since.
    #[inline]
    pub(super) fn holds_for(&self, count: u32) -> bool {
        // What is being checked is no length.
        (1..=u64::from(count)).contains(&self.0.0.load(Ordering::Relaxed))
    }

    /// There is no run of `count` pages, as a search found, if nobody has given anything back since it began, nor is about to.
    pub(super) fn note(&self, count: u32, nobody_has: impl FnOnce() -> bool) {
        let (word, seen) = (&self.0.0, self.0.0.load(Ordering::Relaxed));
        let checking = CHECKING | u64::from(count);
        if seen & CHECKING != 0 || word.compare_exchange(seen, checking, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return;
        }
        fence(Ordering::SeqCst);
        let to = if nobody_has() { u64::from(count) } else { 0 };
        if word.compare_exchange(checking, to, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Pages are going to be given back: called by who has been counted, before the first.
    #[inline]
    pub(super) fn forget(&self) {
        // Most often nobody was refused anything.
        if self.0.0.load(Ordering::SeqCst) != 0 {
            self.forget_length();
        }
    }

    #[cold]
    fn forget_length(&self) {
        self.0.0.fetch_and(CHECKING, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_holds_for_longer_runs_until_something_is_given_back() {
        let refused = Refused::none();
        assert!(!refused.holds_for(1) && !refused.holds_for(1 << 20), "nobody was refused");
        refused.note(16, || true);
        assert!(!refused.holds_for(15) && refused.holds_for(16) && refused.holds_for(1 << 20));
        refused.forget();
        assert!(!refused.holds_for(1 << 20));
        refused.note(1, || true);
        assert!(refused.holds_for(1) && refused.holds_for(16));
        refused.note(16, || false);
        assert!(!refused.holds_for(1 << 20), "somebody has given something back");
    }

    #[test]
    fn what_is_being_checked_refuses_nobody_and_is_forgotten() {
        let refused = Refused::none();
        refused.note(1, || {
            assert!(!refused.holds_for(1 << 20));
            // Another search, which interrupts this one, leaves it alone.
            refused.note(2, || unreachable!("it is being checked"));
            true
        });
        assert!(refused.holds_for(1));
        refused.note(1, || {
            refused.forget();
            refused.forget();
            refused.note(2, || unreachable!("it is being checked"));
            true
        });
        assert!(!refused.holds_for(1 << 20), "it was forgotten in between");
        refused.note(1, || true);
        assert!(refused.holds_for(1));
    }
}
