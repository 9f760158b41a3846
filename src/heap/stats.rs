//! Figures of a heap.

use super::Heap;
use crate::slab::SlabStats;
use crate::source::{MetadataSource, PageSource};

/// Figures of a heap; exact only at rest. What is shown of them (`Debug`) has the classes that have objects alone, each with
/// how many are live of how many.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapStats {
    /// Bytes that users have: objects, rounded up to their classes, and runs, rounded up to pages.
    pub live_bytes: u64,
    /// The most bytes of pages that were ever taken from the source at once.
    pub peak_held_bytes: u64,
    /// Bytes of runs of pages.
    pub run_bytes: u64,
    /// Bytes of all pages that were taken from the source.
    pub held_bytes: u64,
    /// Objects, class by class; its sums of held bytes are those of the heap.
    pub slab: SlabStats,
}

impl<S: PageSource, M: MetadataSource> Heap<S, M> {
    /// Figures; `None` before the heap is initialised. Nothing is allocated; takes about 8 KiB of stack. Context:
    /// *any*.
    pub fn stats(&self) -> Option<HeapStats> {
        let slab = self.slab.get()?.stats();
        Some(HeapStats {
            live_bytes: slab.live_bytes.saturating_add(slab.run_bytes),
            peak_held_bytes: slab.peak_held_bytes,
            run_bytes: slab.run_bytes,
            held_bytes: slab.held_bytes,
            slab,
        })
    }
}
