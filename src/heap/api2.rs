//! The heap as an `Allocator` of the crate `allocator-api2`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};

use super::Heap;
use crate::source::{MetadataSource, PageSource};

/// A block of zero bytes: no memory, but aligned.
fn empty(layout: Layout) -> NonNull<[u8]> {
    let address = core::ptr::without_provenance_mut(layout.align());
    NonNull::slice_from_raw_parts(NonNull::new(address).unwrap_or(NonNull::dangling()), 0)
}

// SAFETY: blocks are as `GlobalAlloc` says, and stay what they are when the heap is moved: nothing in it points to
// itself. A heap that is dropped leaves its memory as it is.
unsafe impl<S: PageSource, M: MetadataSource> Allocator for Heap<S, M> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(empty(layout));
        }
        let block = self.try_alloc(layout).map_err(|_| AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Ok(empty(layout));
        }
        // SAFETY: the size is not zero.
        let block = NonNull::new(unsafe { self.alloc_zeroed(layout) }).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: as the caller promises.
            unsafe { self.dealloc(block.as_ptr(), layout) };
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.change(block, old, new) }
    }

    unsafe fn grow_zeroed(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        let grown = unsafe { self.change(block, old, new) }?;
        // SAFETY: the new block is at least that large.
        let added = unsafe { grown.cast::<u8>().add(old.size()) };
        // SAFETY: the block is the caller's, and what was added is nobody's yet.
        unsafe { added.write_bytes(0, new.size() - old.size()) };
        Ok(grown)
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as the caller promises.
        unsafe { self.change(block, old, new) }
    }
}

impl<S: PageSource, M: MetadataSource> Heap<S, M> {
    /// # Safety
    /// The block came from this heap with the layout `old`.
    unsafe fn change(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let same = old.align() == new.align() && old.size() != 0 && new.size() != 0;
        // SAFETY: as the caller promises; what is beyond the new size is given up.
        if same && unsafe { self.resize(block.as_ptr(), old, new.size()) } {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        let moved = self.allocate(new)?;
        // SAFETY: two blocks, each at least that large, the caller's alone.
        unsafe { block.copy_to_nonoverlapping(moved.cast(), old.size().min(new.size())) };
        // SAFETY: the caller gives the old block up.
        unsafe { self.deallocate(block, old) };
        Ok(moved)
    }
}
