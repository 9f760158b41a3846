//! How a window that is mapped piece by piece is being extended at this moment: a piece that somebody has mapped, and not
//! yet freed in the region, is neither to be had nor gone.
//!
//! In one word: below, how many are at it; above, how often somebody has put a piece into the region. Whoever finds no page
//! and no piece looks at both. What was put there since he looked for pages may be what he wants. While somebody is at it he
//! lets others run, a number of times, and no more: in a child that was forked meanwhile nobody ever ends it.

use crate::sync::{AtomicU64, Ordering};

const DONE: u64 = 1 << 32;

#[derive(Debug)]
pub(super) struct Growth(AtomicU64);

/// What others have done about the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// Put a piece into the region, which another look at it may find.
    Grew,
    /// They are at it.
    AreGrowing,
    /// Nothing.
    Rest,
}

impl Growth {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// To be handed to [`others`](Self::others) when a search that begins now has failed.
    pub(super) fn look(&self) -> u64 {
        // Acquire: pairs with `end`. A piece that was put into the region before is found by the search.
        self.0.load(Ordering::Acquire) / DONE
    }

    /// What others have done since that look.
    pub(super) fn others(&self, look: u64) -> Others {
        // Acquire: as above.
        let now = self.0.load(Ordering::Acquire);
        match (now / DONE != look, now % DONE) {
            (true, _) => Others::Grew,
            (false, 0) => Others::Rest,
            _ => Others::AreGrowing,
        }
    }

    /// Before a piece is taken. Who finds its addresses taken (`Window::grow`, Acquire) finds this.
    pub(super) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The piece is in the region.
    pub(super) fn end(&self) {
        self.0.fetch_add(DONE - 1, Ordering::Release);
    }

    /// There was none.
    pub(super) fn give_up(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
