//! What was done wrong in a group, against its budget.
//!
//! The sum is of one life, from enabling to taking down. So whoever adds to it is counted in ([`Presence`]) until it has ejected,
//! if the budget is spent: nobody takes the group down in between and enables it again, and what is charged to one life never
//! ejects the next.

use super::presence::Presence;
use crate::sync::{AtomicU64, Ordering};

/// See above.
#[derive(Debug)]
pub(crate) struct Account {
    violations: AtomicU64,
    budget: u64,
}

impl Account {
    pub(crate) fn new(budget: u64) -> Self {
        Self { violations: AtomicU64::new(0), budget }
    }

    pub(crate) const fn budget(&self) -> u64 {
        self.budget
    }

    pub(crate) fn violations(&self) -> u64 {
        self.violations.load(Ordering::Relaxed)
    }

    /// A life begins: by who has the right to set the group up.
    pub(crate) fn begin(&self) {
        // Relaxed: callers are let in after it (`Presence::set`).
        self.violations.store(0, Ordering::Relaxed);
    }

    /// Charges violations of the life that is now, if callers may be; whether it was this call that ejected.
    pub(crate) fn charge(&self, presence: &Presence, violations: u64) -> bool {
        if !presence.enter() {
            return false;
        }
        let ejected = self.add(presence, violations);
        presence.leave();
        ejected
    }

    /// Charges a caller's violations, and counts it out: in this order, so whoever finds nobody inside finds them counted, and the
    /// group ejected if they were too many. Whether it was this call that ejected.
    pub(crate) fn leave(&self, presence: &Presence, violations: u64) -> bool {
        let ejected = violations > 0 && self.add(presence, violations);
        presence.leave();
        ejected
    }

    /// By who is counted in.
    fn add(&self, presence: &Presence, violations: u64) -> bool {
        // The sum stays at its end, or one that went round would be within the budget. Relaxed: a sum; whoever brings it over the
        // budget knows, for each adds its own.
        let add = |sum: u64| Some(sum.saturating_add(violations));
        let before = self.violations.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or_default();
        before.saturating_add(violations) > self.budget && presence.close()
    }
}
