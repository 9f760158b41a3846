//! Free: what somebody names is proved to be a live block before anything changes.

use super::record::PAGE_GRANULES;
use super::run::Run;
use super::{GRANULE_BYTES, Pool};
use crate::addr::{ArenaPtr, PageIndex};
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};
use crate::sync::{Ordering, fence};

impl<S: PageSource, M: MetadataSource> Pool<S, M> {
    /// Takes the block away from its holder.
    pub(super) fn take(&self, ptr: ArenaPtr, size: usize) -> Result<Run, Misuse> {
        let page = PageIndex::containing(ptr);
        if !self.source.extent().contains(page) {
            return Err(Misuse::Outside);
        }
        if ptr.offset() % GRANULE_BYTES != 0 {
            let held = self.ledger.chunk_of(page.number());
            return Err(held.map_or(Misuse::NoObjects, |_| Misuse::NotAtStart));
        }
        self.ledger.retract(ptr.offset() / GRANULE_BYTES, size)
    }

    /// Gives the granules of a former block up, and deals with chunks that are free now.
    pub(super) fn put(&self, run: Run) {
        // Looked up while the block still holds its chunks in place.
        let mut chunk = self.ledger.chunk_of(run.first / PAGE_GRANULES);
        let end = run.end().div_ceil(PAGE_GRANULES);
        self.ledger.unclaim(run);
        // Of several who give up the last granules of a chunk at once, in different words, at least one sees that it is
        // free: he who comes last in the order of the fences sees what all have done. Without them each may see his own
        // words only.
        fence(Ordering::SeqCst);
        while let Some(pages) = chunk {
            if self.is_free(pages, run) {
                self.keep_or_return(pages);
            }
            let next = pages.numbers().end;
            chunk = if next < end { self.ledger.chunk_of(next) } else { None };
        }
    }
}
