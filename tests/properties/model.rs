//! The test's own map of an arena: what each page is, what was written to it, what is in the record.
//!
//! It is kept by what operations *did*, one by one, never read out of the arena's bookkeeping. Beside the pages of the extent
//! it has a few places that are never allocated: a page that the leaf tables round out to, regions, the upper guard.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kernel_arena::platform::CpuId;
use kernel_arena::{Owner, ProgramId, VIOLATION_CAPACITY, ViolationKind, WINDOW_PAGES};

/// Where in a page words are read and written. All others stay zero.
pub(super) const WORDS: [u32; 5] = [0, 8, 1024, 4000, 4088];

pub(super) type Words = [u64; WORDS.len()];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Reserved(Owner),
    Mapped(Owner),
    Deferred(Owner),
    /// Never to be allocated.
    Elsewhere,
}

/// What can be seen of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) state: State,
    /// The scratch page stands in.
    pub(super) scratch: bool,
    /// The physical page of a page that has one of its own.
    pub(super) frame: Option<u64>,
}

impl Seen {
    pub(super) const fn without_page(state: State, scratch: bool) -> Self {
        Self { state, scratch, frame: None }
    }

    pub(super) const fn has_page(self) -> bool {
        matches!(self.state, State::Mapped(_) | State::Deferred(_))
    }

    /// What no program reaches, in no view.
    pub(super) const fn is_the_kernels(self) -> bool {
        self.scratch || matches!(self.state, State::Mapped(Owner::Kernel) | State::Deferred(Owner::Kernel))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) seen: Seen,
    /// Whether it may be marked as holding scratch. It is, if it does; if it does not, the mark may be an old one.
    pub(super) may_be_marked: bool,
    pub(super) words: Words,
}

/// A place that is never allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It has a slot of its own.
    Slot,
    /// It stands for a region of 2 MiB.
    Region,
}

/// A violation as it is to be found in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) address: u64,
    pub(super) kind: ViolationKind,
    pub(super) instruction: u64,
    pub(super) cpu: Option<CpuId>,
    pub(super) program: Option<ProgramId>,
    pub(super) sequence: u64,
}

pub(super) type Pages = BTreeMap<u32, Page>;

#[derive(Debug)]
pub(super) struct Model {
    pub(super) base: u64,
    pub(super) first: u32,
    pub(super) count: u32,
    /// The extent and the other places. Pages of the upper guard are numbered on from the window's end.
    pub(super) pages: Pages,
    pub(super) scratch_frame: Option<u64>,
    /// What each word of the scratch page may hold.
    pub(super) scratch: [BTreeSet<u64>; WORDS.len()],
    pub(super) record: VecDeque<Recorded>,
    pub(super) violations: u64,
    pub(super) lost: u64,
    pub(super) table_frames: usize,
    /// CPUs that may have met another at the same pages: they look from a place of their own upwards, and below it when there
    /// is no room above.
    pub(super) moved: BTreeSet<u16>,
}

impl Model {
    pub(super) fn new(base: u64, first: u32, count: u32, table_frames: usize) -> Self {
        let extent = (first..first + count).map(|page| (page, State::Free));
        let mut model = Self {
            base,
            first,
            count,
            pages: Pages::new(),
            scratch_frame: None,
            scratch: std::array::from_fn(|_| BTreeSet::from([0])),
            record: VecDeque::new(),
            violations: 0,
            lost: 0,
            table_frames,
            moved: BTreeSet::new(),
        };
        let elsewhere = model.elsewhere().map(|page| (page, State::Elsewhere));
        model.pages = extent
            .chain(elsewhere)
            .map(|(page, state)| {
                let seen = Seen::without_page(state, false);
                (page, Page { seen, may_be_marked: false, words: Words::default() })
            })
            .collect();
        model
    }

    /// One place of each kind, no two in one region: page 0, what the tables round the extent out to on both sides, two
    /// regions, both ends of the guard.
    pub(super) fn elsewhere(&self) -> [u32; 7] {
        let end = self.first + self.count;
        [0, self.first - 1, end, 1 << 18, WINDOW_PAGES - 1, WINDOW_PAGES, WINDOW_PAGES + 7]
    }

    pub(super) fn class(&self, page: u32) -> Class {
        let built = self.first / 512 * 512..(self.first + self.count).next_multiple_of(512);
        if page >= WINDOW_PAGES || built.contains(&page) { Class::Slot } else { Class::Region }
    }

    pub(super) const fn in_extent(&self, page: u32) -> bool {
        page >= self.first && page - self.first < self.count
    }

    pub(super) fn extent(&self) -> impl Iterator<Item = (u32, &Page)> {
        self.pages.range(self.first..self.first + self.count).map(|(page, at)| (*page, at))
    }

    /// The maximal runs of neighbours that one owner has, allocated or reserved: first page, length, owner.
    pub(super) fn owned_runs(&self) -> Vec<(u32, u32, Owner)> {
        let mut runs: Vec<(u32, u32, Owner)> = Vec::new();
        for (page, at) in self.extent() {
            let (State::Mapped(owner) | State::Reserved(owner)) = at.seen.state else {
                continue;
            };
            match runs.last_mut() {
                Some((first, count, theirs)) if *first + *count == page && *theirs == owner => *count += 1,
                _ => runs.push((page, 1, owner)),
            }
        }
        runs
    }

    /// Where a CPU that has moved begins to look: at the fraction of the extent that its number is with its bits reversed.
    pub(super) fn own_place(&self, cpu: u16) -> u32 {
        self.first + ((u32::from(cpu.reverse_bits()) * self.count) >> 16)
    }

    pub(super) fn owner_of(&self, page: u32) -> Option<Owner> {
        match self.pages.get(&page)?.seen.state {
            State::Mapped(owner) | State::Reserved(owner) | State::Deferred(owner) => Some(owner),
            State::Free | State::Elsewhere => None,
        }
    }

    /// How many pages have a frame of their own.
    pub(super) fn frames(&self) -> usize {
        self.pages.values().filter(|page| page.seen.has_page()).count()
    }

    /// Puts a violation into the record, if there is room.
    pub(super) fn violation(&mut self, recorded: Recorded) {
        let sequence = self.violations;
        self.violations += 1;
        if self.record.len() == VIOLATION_CAPACITY {
            self.lost += 1;
        } else {
            self.record.push_back(Recorded { sequence, ..recorded });
        }
    }
}

/// The lowest run of `count` pages that are all `available`, whose first is a multiple of `align`.
pub(super) fn lowest_run(pages: &Pages, count: u32, align: u32, available: impl Fn(u32, &Page) -> bool) -> Option<u32> {
    let mut length = 0;
    let mut last = None;
    for (page, at) in pages.iter() {
        let follows = last.is_some_and(|last| last + 1 == *page);
        last = Some(*page);
        length = match (available(*page, at), follows) {
            (false, _) => 0,
            (true, true) => length + 1,
            (true, false) => 1,
        };
        // The run that ends here is long enough from its first aligned page on: pages before it were tried before.
        if length >= count && (*page + 1 - count) % align == 0 {
            return Some(*page + 1 - count);
        }
    }
    None
}
