//! A heap for kernels that allocate before they have one.
//!
//! Some kernels want `alloc` to make their page tables, or to write down what memory there is: before there can be an arena.
//! An [`EarlyHeap`] has a piece of memory of its own, in the kernel's image, and serves from it until the heap is started;
//! from then on from the heap. Blocks of the early region stay where they are: each free and each change of size tells by the
//! address whose block it is.
//!
//! What it does not do: serve from the early region once the heap has started, however full the heap is; and keep lists of
//! free blocks (see [`EarlyHeap`] for what comes back when).

use core::alloc::Layout;
use core::fmt;
use core::ops::Deref;
use core::ptr::NonNull;

use super::{Heap, HeapError};
use crate::slab::SlabError;
use crate::source::{MetadataSource, PageSource};

mod bump;
mod global;
mod region;

use region::EarlyRegion;

/// A [`Heap`] that serves from `BYTES` bytes of its own before it is started.
///
/// It dereferences to the heap, for [`start`](Heap::start), [`init`](Heap::init), [`stats`](Heap::stats),
/// [`reclaim`](Heap::reclaim) and so on. It belongs in a static: blocks lie in it.
///
/// The early region is for any context: no lock is taken, and an interrupt handler may allocate in the middle of an
/// allocation. Blocks are taken one behind the other, with ends at multiples of 16 bytes. The last one is given back as soon
/// as it is freed, and grows and shrinks where it is, as a `Vec` does that is filled; the bytes of the others come back when
/// no block of the region is out any more. A block that must move after the start moves into the heap.
///
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// use core::alloc::Layout;
/// use kernel_arena::Arena;
/// use kernel_arena::heap::{ArenaHeap, EarlyHeap};
/// # use kernel::{LAYOUT, MyKernel};
///
/// // In a kernel: #[global_allocator]
/// static HEAP: EarlyHeap<ArenaHeap<MyKernel>, { 64 << 10 }> = EarlyHeap::new();
///
/// let layout = Layout::new::<[u64; 6]>();
/// let early = HEAP.try_alloc(layout).unwrap(); // `Box` and `Vec` work already
/// assert_eq!(HEAP.early_stats().used_bytes, 48);
///
/// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
/// let arena: &'static Arena<MyKernel> =
///     Box::leak(Box::new(Arena::new(MyKernel::boot(), LAYOUT.private(), metadata).unwrap())); // a kernel has a static
/// HEAP.start(arena).unwrap();
///
/// let late = HEAP.try_alloc(layout).unwrap();
/// for block in [early, late] {
///     // SAFETY: both came from there, with that layout, and nobody uses them.
///     unsafe { HEAP.free(block, layout) };
/// }
/// assert_eq!(HEAP.early_stats().used_bytes, 0);
/// ```
pub struct EarlyHeap<H, const BYTES: usize> {
    heap: H,
    region: EarlyRegion<BYTES>,
}

/// How much of an early region is used.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlyStats {
    /// Bytes of the region.
    pub bytes: usize,
    /// Bytes up to the end of the last block, those that were freed before it included.
    pub used_bytes: u32,
    /// The most bytes that were ever used: what to make the region as large as.
    pub peak_bytes: u32,
    /// Blocks that are out.
    pub live_blocks: u32,
}

impl<S: PageSource, M: MetadataSource, const BYTES: usize> EarlyHeap<Heap<S, M>, BYTES> {
    /// A heap that has its early region, of at most 2 GiB, and nothing else yet.
    pub const fn new() -> Self {
        Self { heap: Heap::new(), region: EarlyRegion::new() }
    }

    /// Takes memory for this layout; typed errors where [`GlobalAlloc`](core::alloc::GlobalAlloc) says null.
    ///
    /// # Errors
    /// [`HeapError`]; nothing was taken but, perhaps, bookkeeping pages. Before the heap is started,
    /// [`NotInitialised`](HeapError::NotInitialised) means that the early region has no room for it. Zero bytes are refused.
    pub fn try_alloc(&self, layout: Layout) -> Result<NonNull<u8>, HeapError> {
        if self.heap.slab().is_some() {
            return self.heap.try_alloc(layout);
        }
        if layout.size() == 0 {
            return Err(HeapError::Slab(SlabError::ZeroSize));
        }
        NonNull::new(self.region.alloc(layout)).ok_or(HeapError::NotInitialised)
    }

    /// Gives memory back, to the early region or to the heap.
    ///
    /// # Safety
    /// It came from here with the same layout, and was not given back since; the heap has not moved since either, and nobody uses
    /// the memory any more.
    pub unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { core::alloc::GlobalAlloc::dealloc(self, block.as_ptr(), layout) };
    }

    /// Figures of the early region. Context: *any*.
    pub fn early_stats(&self) -> EarlyStats {
        let used = self.region.used();
        EarlyStats { bytes: BYTES, used_bytes: used.bytes, peak_bytes: self.region.peak(), live_blocks: used.blocks }
    }
}

impl<H, const BYTES: usize> Deref for EarlyHeap<H, BYTES> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.heap
    }
}

impl<S: PageSource, M: MetadataSource, const BYTES: usize> Default for EarlyHeap<Heap<S, M>, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: fmt::Debug, const BYTES: usize> fmt::Debug for EarlyHeap<H, BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.region.used();
        f.debug_struct("EarlyHeap")
            .field("early_bytes", &BYTES)
            .field("used_early_bytes", &used.bytes)
            .field("heap", &self.heap)
            .finish()
    }
}
