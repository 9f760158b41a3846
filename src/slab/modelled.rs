//! What a heap does with runs of pages, for models, which have no heap.

use super::Slab;
use crate::addr::{PAGE_BYTES, PageCount, PageRange};
use crate::source::{MetadataSource, PageSource};

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// A run of one page: one that is kept where this runs, or from the source.
    pub fn take_run(&self) -> Option<PageRange> {
        self.take_kept_run(PageCount::ONE, PAGE_BYTES).or_else(|| {
            let take = || self.source.alloc_pages(PageCount::ONE, PageCount::ONE).ok();
            let run = take().or_else(|| self.give_way(take))?;
            self.hold_run(run, PAGE_BYTES).ok().map(|()| run)
        })
    }

    /// Gives it back.
    ///
    /// # Safety
    /// It came from [`take_run`](Self::take_run), and nobody uses it.
    pub unsafe fn give_run_back(&self, run: PageRange) {
        // SAFETY: as the caller promises.
        unsafe { self.free_run(run.to_ptr().offset(), PAGE_BYTES) };
    }
}
