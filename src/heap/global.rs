//! The heap as a `GlobalAlloc`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use super::{Heap, runs};
use crate::slab::Slab;
use crate::source::{MetadataSource, PageSource};

// SAFETY: blocks are objects of the slab or runs of the source, each handed out once until it is freed, large enough
// and aligned for their layout; nothing unwinds.
unsafe impl<S: PageSource, M: MetadataSource> GlobalAlloc for Heap<S, M> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.slab.get() {
            Some(slab) => self.alloc_from(slab, layout),
            None => ptr::null_mut(),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(slab) = self.slab.get() else { return };
        if !slab.push(slab.offset_of(block), layout) {
            Self::dealloc_slow(block, layout, self);
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(slab) = self.slab.get().filter(|slab| runs::is_run(slab, layout)) {
            return runs::alloc_zeroed(slab, layout).unwrap_or(ptr::null_mut());
        }
        // SAFETY: as the caller promises.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: a block of that size that is ours alone; the memory is private.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.resize_or_move(block, layout, new_size) }
    }
}

impl<S: PageSource, M: MetadataSource> Heap<S, M> {
    /// An allocation from this heap's slab allocator.
    #[inline]
    pub(super) fn alloc_from(&self, slab: &Slab<S, M>, layout: Layout) -> *mut u8 {
        match slab.pop(layout) {
            Some(object) => slab.address_of(object),
            None => Self::alloc_slow(layout, self),
        }
    }

    /// An allocation that finds nothing in the magazine at hand. The heap is the last argument, so that the fast path
    /// has nothing to move before it jumps here.
    #[cold]
    #[inline(never)]
    pub(crate) fn alloc_slow(layout: Layout, heap: &Self) -> *mut u8 {
        if let Some(slab) = heap.slab.get().filter(|slab| runs::is_run(slab, layout)) {
            // What was given back lately is at hand.
            return runs::take_kept(slab, layout).unwrap_or_else(|| runs::alloc_or_null(slab, layout));
        }
        Self::alloc_object(layout, heap)
    }

    #[inline(never)]
    fn alloc_object(layout: Layout, heap: &Self) -> *mut u8 {
        heap.try_alloc(layout).map_or(ptr::null_mut(), |block| block.as_ptr())
    }

    /// A free that finds no room in the magazine at hand.
    #[cold]
    #[inline(never)]
    pub(crate) fn dealloc_slow(block: *mut u8, layout: Layout, heap: &Self) {
        let Some(slab) = heap.slab.get() else { return };
        if runs::is_run(slab, layout) {
            // SAFETY: the caller of `dealloc` promises that it came from `alloc` with this layout.
            unsafe { runs::free(slab, block, layout) };
        } else {
            slab.free_slow(slab.offset_of(block), layout);
        }
    }
}
