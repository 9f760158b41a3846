//! The heap with an early region as a `GlobalAlloc`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use super::{EarlyHeap, Heap};
use crate::source::{MetadataSource, PageSource};

// SAFETY: blocks are the early region's or the heap's, each handed out once until it is freed, large enough and aligned for
// their layout; the region's memory is part of what is borrowed, and no block of the heap lies in it, since nobody lent it
// to the heap. Nothing unwinds.
unsafe impl<S: PageSource, M: MetadataSource, const BYTES: usize> GlobalAlloc for EarlyHeap<Heap<S, M>, BYTES> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.heap.slab.get() {
            Some(slab) => self.heap.alloc_from(slab, layout),
            None => self.alloc_early(layout),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.region.holds(block) {
            // SAFETY: as the caller promises.
            unsafe { self.free_early(block, layout) };
        } else {
            // SAFETY: as the caller promises.
            unsafe { self.heap.dealloc(block, layout) };
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.heap.slab.get().is_some() {
            // SAFETY: as the caller promises.
            return unsafe { self.heap.alloc_zeroed(layout) };
        }
        let block = self.alloc_early(layout);
        if !block.is_null() {
            // SAFETY: a block of that size that is ours alone. It may have been another's.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !self.region.holds(block) {
            // SAFETY: as the caller promises.
            return unsafe { self.heap.realloc(block, layout, new_size) };
        }
        // SAFETY: the caller gives the rest of the block up if it shrinks.
        if unsafe { self.region.resize(block, layout, new_size) } {
            return block;
        }
        let Ok(wanted) = Layout::from_size_align(new_size, layout.align()) else { return ptr::null_mut() };
        // SAFETY: sizes are not zero, as the caller promises.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: two blocks, each at least that large, ours alone.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size)) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.region.free(block, layout) };
        }
        moved
    }
}

impl<S: PageSource, M: MetadataSource, const BYTES: usize> EarlyHeap<Heap<S, M>, BYTES> {
    #[cold]
    #[inline(never)]
    fn alloc_early(&self, layout: Layout) -> *mut u8 {
        self.region.alloc(layout)
    }

    /// # Safety
    /// As for `dealloc`; the block is the early region's.
    #[cold]
    #[inline(never)]
    unsafe fn free_early(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { self.region.free(block, layout) };
    }
}
