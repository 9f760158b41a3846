//! Figures of a heap.

use core::fmt;

use super::Heap;
use crate::slab::{Filled, SlabStats};
use crate::source::{MetadataSource, PageSource};

/// Figures of a heap; exact only at rest. What is shown of them (`Debug`) has the classes that have objects alone, each with
/// how many are live of how many.
#[derive(Clone, Copy, PartialEq, Eq)]
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

impl fmt::Debug for HeapStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeapStats")
            .field("live_bytes", &self.live_bytes)
            .field("run_bytes", &self.run_bytes)
            .field("held_bytes", &self.held_bytes)
            .field("peak_held_bytes", &self.peak_held_bytes)
            .field("metadata_bytes", &self.slab.metadata_bytes)
            .field("misuses", &self.slab.misuses)
            .field("classes", &Filled(&self.slab.classes))
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for HeapStats {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "HeapStats {{ live_bytes: {=u64}, run_bytes: {=u64}, held_bytes: {=u64}, peak_held_bytes: {=u64}, \
             metadata_bytes: {=u64}, misuses: {=u64}, classes: {} }}",
            self.live_bytes,
            self.run_bytes,
            self.held_bytes,
            self.peak_held_bytes,
            self.slab.metadata_bytes,
            self.slab.misuses,
            Filled(&self.slab.classes)
        );
    }
}
