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
    resumed: AtomicU64,
    declined: AtomicU64,
    programs: AtomicU64,
    holes: AtomicU64,
    invalid_frees: AtomicU64,
    drained: AtomicU64,
}

impl Page {
    const fn new() -> Self {
        Self {
            operations: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            declined: AtomicU64::new(0),
            programs: AtomicU64::new(0),
            holes: AtomicU64::new(0),
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
    /// A fault of an access that stops where there is no page, and did: an operation, too.
    Resumed,
    /// A fault that no arena was asked about, or wanted.
    Declined,
    /// A fault in user mode.
    Program,
    /// An access of a bytecode program's that found no page, so that it is a violation.
    Hole,
    /// A free that was refused, so that it is a violation.
    InvalidFree,
    /// A violation that was taken out of the record.
    Drained,
}

/// Counts one, on this CPU. In any context.
pub(crate) fn count(event: Event) {
    count_all(event, 1);
}

/// Counts so many.
pub(crate) fn count_all(event: Event, number: u64) {
    let page = &BOOKS[usize::from(cpu_id().number())];
    let add = |counter: &AtomicU64| counter.fetch_add(number, Ordering::Relaxed);
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
        Event::Resumed => {
            add(&page.operations);
            &page.resumed
        }
        Event::Declined => &page.declined,
        Event::Program => &page.programs,
        Event::Hole => &page.holes,
        Event::InvalidFree => &page.invalid_frees,
        Event::Drained => &page.drained,
    }
    .fetch_add(number, Ordering::Relaxed);
}

/// All CPUs' counts, since the start or since an earlier tally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) operations: u64,
    pub(crate) recovered: u64,
    pub(crate) retried: u64,
    pub(crate) resumed: u64,
    pub(crate) declined: u64,
    pub(crate) programs: u64,
    pub(crate) holes: u64,
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
            resumed: sum(|page| &page.resumed),
            declined: sum(|page| &page.declined),
            programs: sum(|page| &page.programs),
            holes: sum(|page| &page.holes),
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
            resumed: self.resumed - earlier.resumed,
            declined: self.declined - earlier.declined,
            programs: self.programs - earlier.programs,
            holes: self.holes - earlier.holes,
            invalid_frees: self.invalid_frees - earlier.invalid_frees,
            drained: self.drained - earlier.drained,
        }
    }
}
