//! Whether a group's callbacks may be called, and who is inside: one word.
//!
//! Flags and the number of callers share the word, so each step is one atomic operation on it, all of them in one order, as in
//! the registry: a caller that counted in before the group was closed is seen by whoever closes, one that
//! counts in after sees that it is closed. Nobody waits.
//!
//! | | flags | who may |
//! |---|---|---|
//! | at rest | none | be set up |
//! | being set | `SETTING` | one: it alone has what the group is equipped with |
//! | present | `EQUIPPED`, `PRESENT` | all callers, at once |
//! | closed | `EQUIPPED` | callers that are inside, to their end; then one, to take it down |
//!
//! What a caller may touch was made before `PRESENT` was set (Release), which its counting in reads (Acquire); and all that it
//! did comes before its counting out (Release), which whoever takes the group down reads (Acquire).

use crate::sync::{AtomicU64, Ordering};

const PRESENT: u64 = 1 << 63;
const EQUIPPED: u64 = 1 << 62;
const SETTING: u64 = 1 << 61;
/// The number of callers below the flags: there are fewer than CPUs times levels, and threads that charge.
const CALLERS: u64 = SETTING - 1;

/// See above.
#[derive(Debug)]
pub(crate) struct Presence(AtomicU64);

/// Why a group cannot be set up or taken down just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotNow {
    /// It is not in the state from which this leads on.
    State,
    /// So many are inside, or just found that they may not be; or somebody else sets it.
    Busy(u64),
}

impl Presence {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts a caller in, if callers may be.
    pub(crate) fn enter(&self) -> bool {
        // Who comes again and again while it is closed leaves no trace, and so keeps nobody from setting it up. Relaxed: whoever
        // is let in is told so below.
        if !self.is_present() {
            return false;
        }
        // Acquire: pairs with `set`.
        let is_present = self.0.fetch_add(1, Ordering::Acquire) & PRESENT != 0;
        if !is_present {
            // Relaxed: it has touched nothing.
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
        is_present
    }

    /// Counts a caller out that was counted in.
    pub(crate) fn leave(&self) {
        // Release: pairs with `begin_down`.
        self.0.fetch_sub(1, Ordering::Release);
    }

    pub(crate) fn is_present(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PRESENT != 0
    }

    /// Lets no more callers in; whether it was this call that ended it.
    pub(crate) fn close(&self) -> bool {
        // Relaxed: callers inside go on, and who takes the group down looks again.
        self.0.fetch_and(!PRESENT, Ordering::Relaxed) & PRESENT != 0
    }

    /// The right to set up what is at rest: one has it.
    pub(crate) fn begin_up(&self) -> Result<(), NotNow> {
        // Acquire: pairs with `end_down`.
        self.begin(0)
    }

    /// What was set up is there: callers may come.
    pub(crate) fn set(&self) {
        // By addition: others may be counting themselves in and out. Release: pairs with `enter`.
        self.0.fetch_add((PRESENT | EQUIPPED).wrapping_sub(SETTING), Ordering::Release);
    }

    /// The right to take down what is closed and has nobody inside: one has it.
    pub(crate) fn begin_down(&self) -> Result<(), NotNow> {
        self.begin(EQUIPPED)
    }

    /// What was set up is gone, or never was.
    pub(crate) fn end_down(&self) {
        // Release: pairs with the next `begin_up`.
        self.0.fetch_sub(SETTING, Ordering::Release);
    }

    fn begin(&self, flags: u64) -> Result<(), NotNow> {
        match self.0.compare_exchange(flags, SETTING, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(word) if word & SETTING != 0 => Err(NotNow::Busy(0)),
            Err(word) if word & !CALLERS == flags => Err(NotNow::Busy(word & CALLERS)),
            Err(_) => Err(NotNow::State),
        }
    }
}
