//! Free: what somebody names is proved to be a live block before anything changes.

use super::page::Page;
use super::record::PAGE_GRANULES;
use super::run::Run;
use super::{GRANULE_BYTES, Pool};
use crate::addr::{ArenaPtr, PageIndex};
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};
use crate::sync::{Ordering, fence};

impl<S: PageSource, M: MetadataSource> Pool<S, M> {
    /// Takes the block away from its holder; says in which page it begins.
    #[inline]
    pub(super) fn take(&self, ptr: ArenaPtr, size: usize) -> Result<(Page<'_>, Run), Misuse> {
        let page = PageIndex::containing(ptr);
        if !self.source.extent().contains(page) {
            return Err(Misuse::Outside);
        }
        if ptr.offset() % GRANULE_BYTES != 0 {
            let held = self.ledger.chunk_of(page.number());
            return Err(held.map_or(Misuse::NoObjects, |_| Misuse::NotAtStart));
        }
        let first = ptr.offset() / GRANULE_BYTES;
        let page = self.ledger.page_of(first).ok_or(Misuse::NoObjects)?;
        Ok((page, page.retract(first, size)?))
    }

    /// Gives the granules of a former block up, and deals with chunks that are free now.
    #[inline]
    pub(super) fn put(&self, page: Page<'_>, run: Run) {
        // Looked up while the block still holds its chunks in place.
        let chunk = page.chunk();
        page.unclaim(run);
        // Of several who give up the last granules of a chunk at once, in different words, at least one sees that it is
        // free: he who comes last in the order of the fences sees what all have done. Without them each may see his own
        // words only.
        fence(Ordering::SeqCst);
        let Some(chunk) = chunk else { return };
        if page.is_free_around(run.first) {
            self.keep_if_free(chunk);
        }
        let end = run.end().div_ceil(PAGE_GRANULES);
        let mut next = chunk.numbers().end;
        while let Some(pages) = (next < end).then(|| self.ledger.chunk_of(next)).flatten() {
            self.keep_if_free(pages);
            next = pages.numbers().end;
        }
    }
}
