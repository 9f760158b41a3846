//! The kernel's own books: what each CPU did and saw, counted where it happened.
//!
//! They are held against the arena's figures when a race is over.

use core::sync::atomic::{AtomicU64, Ordering};

use support::{MAX_CPUS, cpu_id};

/// What one CPU has counted; on cache lines of its own. Relaxed: others read it only when it rests.
#[repr(align(128))]
struct Page {
    operations: AtomicU64,
    recovered: AtomicU64,
    retried: AtomicU64,
    declined: AtomicU64,
    invalid_frees: AtomicU64,
    drained: AtomicU64,
}

impl Page {
    const fn new() -> Self {
        Self {
            operations: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            declined: AtomicU64::new(0),
            invalid_frees: AtomicU64::new(0),
            drained: AtomicU64::new(0),
        }
    }
}

static BOOKS: [Page; MAX_CPUS] = [const { Page::new() }; MAX_CPUS];

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An operation of an arena or a registry that was called directly.
    Operation,
    /// A fault that was recovered: an operation, too.
    Recovered,
    /// A fault after which the instruction only runs again: an operation, too.
    Retried,
    /// A fault that no arena was asked about, or wanted.
    Declined,
    /// A free that was refused, so that it is a violation.
    InvalidFree,
    /// A violation that was taken out of the record.
    Drained,
}

/// Counts one, on this CPU. In any context.
pub(crate) fn count(event: Event) {
    let page = &BOOKS[usize::from(cpu_id().number())];
    let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    match event {
        Event::Operation => &page.operations,
        Event::Recovered => {
            add(&page.operations);
            &page.recovered
        }
        Event::Retried => {
            add(&page.operations);
            &page.retried
        }
        Event::Declined => &page.declined,
        Event::InvalidFree => &page.invalid_frees,
        Event::Drained => &page.drained,
    }
    .fetch_add(1, Ordering::Relaxed);
}

/// All CPUs' counts, since the start or since an earlier tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) operations: u64,
    pub(crate) recovered: u64,
    pub(crate) retried: u64,
    pub(crate) declined: u64,
    pub(crate) invalid_frees: u64,
    pub(crate) drained: u64,
}

impl Tally {
    /// Those since the start.
    pub(crate) fn so_far() -> Self {
        let sum = |of: fn(&Page) -> &AtomicU64| BOOKS.iter().map(|page| of(page).load(Ordering::Relaxed)).sum();
        Self {
            operations: sum(|page| &page.operations),
            recovered: sum(|page| &page.recovered),
            retried: sum(|page| &page.retried),
            declined: sum(|page| &page.declined),
            invalid_frees: sum(|page| &page.invalid_frees),
            drained: sum(|page| &page.drained),
        }
    }

    /// Those since `earlier`.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            operations: self.operations - earlier.operations,
            recovered: self.recovered - earlier.recovered,
            retried: self.retried - earlier.retried,
            declined: self.declined - earlier.declined,
            invalid_frees: self.invalid_frees - earlier.invalid_frees,
            drained: self.drained - earlier.drained,
        }
    }
}
