//! Figures.

use super::Arena;
use crate::arch::Arch;
use crate::platform::Platform;
use crate::sync::{AtomicU64, Ordering};

/// Counts what happens off the hot paths. Relaxed: they are figures, nothing is decided by them.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) spurious: AtomicU64,
    pub(super) lost_installs: AtomicU64,
    pub(super) pages_given: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Decides: an arena that is held is not destroyed.
    pub(super) holds: AtomicU64,
}

impl Counters {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { spurious: zero(), lost_installs: zero(), pages_given: zero(), refused: zero(), holds: zero() }
    }
}

/// Figures of an arena. Pages are counted word by word while other CPUs go on, so they are exact only at rest.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Pages of the extent that are allocated, reserved, queued to be freed, or held by an operation that is going on.
    pub claimed_pages: u32,
    /// Pages queued to be freed.
    pub deferred_pages: u32,
    /// Pages, of the window or the guard, whose slot may hold the scratch page.
    pub tainted_pages: u32,
    /// Regions of 2 MiB outside the extent where the scratch table may be linked.
    pub tainted_regions: u32,
    /// Frames that the tables and the scratch page take.
    pub table_frames: u32,
    /// Violations since creation, those lost included, and each hole that a program's runner saw.
    pub violations: u64,
    /// Violations that found the record full.
    pub violations_lost: u64,
    /// Faults whose page was there when the arena looked.
    pub spurious_faults: u64,
    /// Faults that lost the race for the slot.
    pub lost_installs: u64,
    /// Shootdowns that were asked for.
    pub shootdowns: u64,
    /// Program views that are attached.
    pub views: u32,
    /// Who [holds](crate::groups::Hold) the arena: groups, mostly.
    pub holds: u64,
    /// Pages that programs got by faulting on them.
    pub pages_given: u64,
    /// Faults of programs that were refused.
    pub refused_accesses: u64,
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Figures of this arena. Context: *any*; it reads all of the metadata.
    pub fn stats(&self) -> Stats {
        let (violations, violations_lost) = self.violations.totals();
        let counters = &self.shared.0.counters;
        Stats {
            claimed_pages: self.maps.claimed_count(),
            deferred_pages: self.maps.deferred.pages().bits().count(),
            tainted_pages: self.maps.tainted.pages().bits().count(),
            tainted_regions: self.maps.tainted.regions().count(),
            table_frames: self.tables.frame_count(),
            violations,
            violations_lost,
            spurious_faults: counters.spurious.load(Ordering::Relaxed),
            lost_installs: counters.lost_installs.load(Ordering::Relaxed),
            shootdowns: self.maps.passing.shootdowns(),
            views: self.views.count(),
            holds: counters.holds.load(Ordering::Relaxed),
            pages_given: counters.pages_given.load(Ordering::Relaxed),
            refused_accesses: counters.refused.load(Ordering::Relaxed),
        }
    }
}
