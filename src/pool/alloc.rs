//! Allocation: a run that is free, or new pages that begin with one.

use core::alloc::Layout;

use super::page::Page;
use super::record::PAGE_GRANULES;
use super::run::Run;
use super::{GRANULE_BYTES, GROWTH_PAGES, Pool, PoolError};
use crate::addr::{PAGE_SHIFT, PageCount, PageRange};
use crate::source::{MetadataSource, PageSource};

impl<S: PageSource, M: MetadataSource> Pool<S, M> {
    /// A run for the layout, and the page that it begins in. It is the caller's and not published.
    #[inline]
    pub(super) fn place(&self, layout: Layout) -> Result<(Page<'_>, Run), PoolError> {
        let (count, align) = self.check(layout)?;
        // Most find one in the first page that has room at all.
        if let Some(page) = self.ledger.first_open() {
            if let Some(run) = page.search(count, align).filter(|run| page.claim(*run)) {
                return Ok((page, run));
            }
        }
        let run = self.place_anywhere(count, align)?;
        self.ledger.page_of(run.first).map(|page| (page, run)).ok_or(PoolError::OutOfMetadata)
    }

    #[inline(never)]
    fn place_anywhere(&self, count: u32, align: u32) -> Result<Run, PoolError> {
        if let Some(run) = self.claim_lowest(count, align) {
            return Ok(run);
        }
        // What was given back meanwhile is enough.
        self.grow(count).or_else(|error| self.claim_lowest(count, align).ok_or(error))
    }

    /// Size and alignment in granules.
    fn check(&self, layout: Layout) -> Result<(u32, u32), PoolError> {
        if layout.size() == 0 {
            return Err(PoolError::ZeroSize);
        }
        if layout.align() > 1 << PAGE_SHIFT {
            return Err(PoolError::TooAligned);
        }
        let extent = Run::of_pages(self.source.extent());
        let run = Run::sized(extent.first, layout.size()).filter(|run| run.count <= extent.count);
        let align = u32::try_from(layout.align().div_ceil(GRANULE_BYTES as usize)).unwrap_or(PAGE_GRANULES);
        run.map(|run| (run.count, align)).ok_or(PoolError::TooLarge)
    }

    /// Claims the lowest run that is free. Who loses one to another goes on from there, and looks at what lies below
    /// last.
    fn claim_lowest(&self, count: u32, align: u32) -> Option<Run> {
        let mut from = 0;
        loop {
            let from_start = || if from > 0 { self.ledger.search(0, count, align) } else { None };
            let run = self.ledger.search(from, count, align).or_else(from_start)?;
            if self.ledger.claim(run) {
                return Some(run);
            }
            from = run.first;
        }
    }

    /// Takes pages from the source; the first `count` granules are the caller's, the others anybody's.
    fn grow(&self, count: u32) -> Result<Run, PoolError> {
        let pages = self.take_pages(count.div_ceil(PAGE_GRANULES))?;
        if self.ledger.prepare(pages, &self.metadata).is_none() {
            // SAFETY: taken above, shown to nobody.
            unsafe { self.source.free_pages(pages) };
            return Err(PoolError::OutOfMetadata);
        }
        // Every granule of the pages is marked as taken, and so ours, as the pages are.
        self.ledger.set_chunk(pages, Some(pages));
        let all = Run::of_pages(pages);
        let ours = Run { count, ..all };
        self.ledger.unclaim(Run { first: ours.end(), count: all.count - count });
        Ok(ours)
    }

    /// At least `count` pages, and as many as a pool grows by if the source has them.
    fn take_pages(&self, count: u32) -> Result<PageRange, PoolError> {
        let take = |count| self.source.alloc_pages(PageCount::saturating(count), PageCount::ONE);
        let pages = match take(count.max(GROWTH_PAGES)) {
            Err(_) if count < GROWTH_PAGES => take(count),
            taken => taken,
        };
        pages.map_err(PoolError::Pages)
    }

    /// Fills a run of the caller's with zeros.
    pub(super) fn zero(&self, run: Run) {
        let first = self.to_kernel(run.to_ptr()).cast::<u64>();
        for number in 0..run.count as usize * (GRANULE_BYTES as usize / size_of::<u64>()) {
            let word = first.wrapping_add(number);
            // SAFETY: memory of the source's, aligned as its base is, and claimed by the caller. Volatile, and no
            // reference is made: a program may write to a shared arena at any moment (I10).
            unsafe { word.write_volatile(0) };
        }
    }
}
