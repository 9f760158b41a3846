//! Slots whose translation was just taken away, and what is owed for them: one shootdown, then their frames, then their
//! numbers.
//!
//! A batch holds at most 64 pages in a fixed array, on the stack: a freed frame's own memory is never used to chain it, since
//! until the shootdown a stale writer may still reach it. Dropping a batch settles it, so the debt cannot be forgotten; the
//! order inside is I2 and I5: flush, frames, un-claim.

use super::Arena;
use crate::addr::{AddressRange, PAGE_SHIFT, PageRange, VirtAddr};
use crate::arch::Arch;
use crate::platform::{FlushScope, Frame, FrameSource, Platform, Shootdown};
use crate::slot::Tag;
use crate::sync::Ordering;

/// Pages of a batch.
const BATCH_PAGES: usize = 64;

/// What is owed for one page.
#[derive(Clone, Copy)]
struct Owed {
    page: u32,
    frame: Option<Frame>,
    claim: Claim,
}

/// Whether a page of the batch was claimed by whoever put it there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Yes: it is un-claimed at the end.
    Held,
    /// No: a slot outside the extent, which nobody claims.
    None,
}

/// Whether TLBs may remember a translation of the page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    /// They may: flush it.
    Possibly,
    /// There was none.
    Never,
}

/// A debt of at most [`BATCH_PAGES`] pages.
pub(super) struct Batch<'a, P: Platform, A: Arch> {
    arena: &'a Arena<P, A>,
    owed: [Owed; BATCH_PAGES],
    len: usize,
    /// Pages to flush, in runs; empty ones at the end.
    stale: [PageRun; BATCH_PAGES],
    stale_len: usize,
    tag: Option<Tag>,
}

/// Pages of the window or the upper guard, by number counted from the window's start.
#[derive(Clone, Copy)]
struct PageRun {
    first: u32,
    count: u32,
}

impl<'a, P: Platform, A: Arch> Batch<'a, P, A> {
    pub(super) const fn new(arena: &'a Arena<P, A>) -> Self {
        let owed = Owed { page: 0, frame: None, claim: Claim::None };
        let stale = PageRun { first: 0, count: 0 };
        Self { arena, owed: [owed; BATCH_PAGES], len: 0, stale: [stale; BATCH_PAGES], stale_len: 0, tag: None }
    }

    /// The tag of the batch in which there is room for one more page: a full one is settled first. To be asked for before
    /// the slot is changed, so that the batch is counted before any of its translations goes.
    pub(super) fn tag(&mut self) -> Tag {
        if self.len == BATCH_PAGES {
            self.settle();
        }
        let arena = self.arena;
        *self.tag.get_or_insert_with(|| arena.next_batch())
    }

    /// Adds a page, for which [`tag`](Self::tag) has made room. Pages of the upper guard are numbered on from the window's
    /// end.
    pub(super) fn add(&mut self, page: u32, frame: Option<Frame>, claim: Claim, stale: Stale) {
        debug_assert!(self.len < BATCH_PAGES);
        self.owed[self.len] = Owed { page, frame, claim };
        self.len += 1;
        if stale == Stale::Possibly {
            self.add_stale(page);
        }
    }

    fn add_stale(&mut self, page: u32) {
        if let Some(last) = self.stale[..self.stale_len].last_mut() {
            if last.first + last.count == page {
                last.count += 1;
                return;
            }
        }
        // No more runs than pages, so there is room.
        self.stale[self.stale_len] = PageRun { first: page, count: 1 };
        self.stale_len += 1;
    }

    /// Pays: one shootdown for all, then frames back, then numbers.
    fn settle(&mut self) {
        if self.len == 0 {
            return;
        }
        let base = self.arena.layout.base();
        let mut ranges = [AddressRange::new(base.into(), 0); BATCH_PAGES];
        for (range, run) in ranges.iter_mut().zip(&self.stale[..self.stale_len]) {
            *range = self.arena.page_addresses(run.first, run.count);
        }
        self.arena.flush(&ranges[..self.stale_len], FlushScope::Leaves);
        let owed = &self.owed[..self.len];
        for frame in owed.iter().filter_map(|owed| owed.frame) {
            // SAFETY: it came from this source; the exchange that took it from its slot was the right to free it, and the
            // flush above was the last that anybody saw of it.
            unsafe { self.arena.platform.frames().free(frame) };
        }
        // Counted again before any page can be installed anew: a fault on that is none of the row before (see `rows`).
        self.arena.next_batch();
        self.unclaim_runs(owed);
        (self.len, self.stale_len, self.tag) = (0, 0, None);
    }

    /// Un-claims pages that follow one another together.
    fn unclaim_runs(&self, owed: &[Owed]) {
        let follows = |a: &Owed, b: &Owed| a.claim == b.claim && a.page + 1 == b.page;
        for run in owed.chunk_by(follows).filter(|run| run[0].claim == Claim::Held) {
            let count = run[run.len() - 1].page - run[0].page + 1;
            self.arena.maps.unclaim(PageRange::of(run[0].page, count));
        }
    }
}

impl<P: Platform, A: Arch> Drop for Batch<'_, P, A> {
    fn drop(&mut self) {
        self.settle();
    }
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// The addresses of pages, numbered from the window's start on into the guard, in the kernel view.
    pub(super) const fn page_addresses(&self, first: u32, count: u32) -> AddressRange {
        let offset = (first as u64) << PAGE_SHIFT;
        let start = VirtAddr::new(self.layout.base().value() + offset);
        AddressRange::new(start, (count as u64) << PAGE_SHIFT)
    }

    /// Has every CPU forget these addresses.
    pub(super) fn flush(&self, ranges: &[AddressRange], scope: FlushScope) {
        if ranges.is_empty() {
            return;
        }
        self.shared.0.counters.shootdowns.fetch_add(1, Ordering::Relaxed);
        self.platform.shootdown().shootdown(ranges, scope);
    }
}
