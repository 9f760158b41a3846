//! Blocks that change their size: where they are, if they can.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use super::{Heap, runs};
use crate::slab::{Mode, SizeClass};
use crate::source::{MetadataSource, PageSource};

impl<S: PageSource, M: MetadataSource> Heap<S, M> {
    /// Whether a block serves another size where it is: an object of the same class, or a run whose pages could be made
    /// more or fewer.
    ///
    /// # Safety
    /// The block came from this heap with this layout; beyond `new_size` nobody uses it.
    pub(super) unsafe fn resize(&self, block: *mut u8, layout: Layout, new_size: usize) -> bool {
        let Some(slab) = self.slab.get() else { return false };
        let Ok(wanted) = Layout::from_size_align(new_size, layout.align()) else { return false };
        match (runs::is_run(slab, layout), runs::is_run(slab, wanted)) {
            // SAFETY: as the caller promises.
            (true, true) => unsafe { runs::resize(slab, block, layout, new_size) },
            // In debug mode the canary lies where the block ends.
            (false, false) => slab.mode() == Mode::Fast && SizeClass::of(layout) == SizeClass::of(wanted),
            _ => false,
        }
    }

    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    pub(super) unsafe fn resize_or_move(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller gives the rest of the block up if it shrinks.
        if unsafe { self.resize(block, layout, new_size) } {
            return block;
        }
        let Ok(wanted) = Layout::from_size_align(new_size, layout.align()) else { return ptr::null_mut() };
        // SAFETY: sizes are not zero, as the caller promises.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: two blocks, each at least that large, ours alone.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size)) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}
