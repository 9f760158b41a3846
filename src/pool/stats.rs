//! Figures.

use super::record::PAGE_GRANULES;
use super::{GRANULE_BYTES, Pool};
use crate::source::{METADATA_PAGE_BYTES, MetadataSource, PageSource};

/// Figures of a pool. They are read off the records while other CPUs go on, so they are exact only at rest.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Chunks.
    pub chunks: u32,
    /// Bytes of all chunks.
    pub held_bytes: u64,
    /// Blocks that were allocated and not freed.
    pub live_blocks: u64,
    /// Bytes of those blocks, in whole granules, and of what operations hold that are going on.
    pub live_bytes: u64,
    /// Bytes that could be allocated.
    pub free_bytes: u64,
    /// Bytes of bookkeeping.
    pub metadata_bytes: u64,
}

impl<S: PageSource, M: MetadataSource> Pool<S, M> {
    /// Figures of this pool. Context: *any*; it reads the records of all pages.
    pub fn stats(&self) -> PoolStats {
        let metadata_bytes = u64::from(self.ledger.metadata_pages()) * METADATA_PAGE_BYTES as u64;
        let mut stats = PoolStats { metadata_bytes, ..PoolStats::default() };
        let bytes = |granules: u32| u64::from(granules) * u64::from(GRANULE_BYTES);
        for chunk in self.ledger.chunks() {
            stats.chunks += 1;
            for record in chunk.numbers().filter_map(|page| self.ledger.record(page)) {
                let taken = record.taken_count();
                stats.held_bytes += bytes(PAGE_GRANULES);
                stats.live_blocks += u64::from(record.blocks());
                stats.live_bytes += bytes(taken);
                stats.free_bytes += bytes(PAGE_GRANULES - taken);
            }
        }
        stats
    }
}
