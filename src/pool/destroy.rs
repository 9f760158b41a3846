//! The end of a pool.

use super::Pool;
use crate::source::{MetadataSource, PageSource};

/// What comes back from a pool that was destroyed.
#[must_use = "blocks that are still live point to whoever forgot to free them"]
#[derive(Debug)]
#[non_exhaustive]
pub struct PoolLeftovers<S, M> {
    /// The page source, which has all its pages back.
    pub source: S,
    /// The metadata source, which has all its pages back.
    pub metadata: M,
    /// Blocks that nobody had freed.
    pub live_blocks: u64,
    /// Their bytes, in whole granules.
    pub live_bytes: u64,
}

impl<S: PageSource, M: MetadataSource> Pool<S, M> {
    /// Destroys the pool: all pages go back to their sources, those of live blocks too, whose holders may not use them
    /// any more.
    ///
    /// Owning the pool proves that no operation is going on in it. Context: *any* in which both sources may be called.
    pub fn destroy(mut self) -> PoolLeftovers<S, M> {
        let stats = self.stats();
        for chunk in self.ledger.chunks() {
            // SAFETY: taken from this source together, and not given back: then it would not be in the ledger. An
            // `ArenaPtr` proves nothing, so whoever uses one vouches for its block, which has just ended.
            unsafe { self.source.free_pages(chunk) };
        }
        self.ledger.dismantle(&self.metadata);
        let Self { source, metadata, .. } = self;
        PoolLeftovers { source, metadata, live_blocks: stats.live_blocks, live_bytes: stats.live_bytes }
    }
}
