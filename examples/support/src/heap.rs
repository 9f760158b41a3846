//! A heap for kernels that bring none of their own: four static mebibytes behind a spin lock.
//!
//! It is for the kernel's convenience (`alloc::vec::Vec`, `alloc::format!`); an arena needs no heap.
//! It is large enough for a kernel to take the metadata of a few full-sized arenas from it. Not for
//! fault or interrupt handlers: the interrupted code may hold the lock.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

use linked_list_allocator::{Heap, LockedHeap};

/// Size of the heap, in bytes.
const SIZE_BYTES: usize = 4 << 20;

#[repr(C, align(4096))]
struct Memory(UnsafeCell<[u8; SIZE_BYTES]>);

// SAFETY: the memory is only reached through the heap that has it, which locks.
unsafe impl Sync for Memory {}

/// A heap of static memory: what [`heap!`](crate::heap!) makes a kernel's global allocator.
pub struct StaticHeap {
    heap: LockedHeap,
    memory: Memory,
}

impl StaticHeap {
    /// A heap whose memory is all free.
    #[expect(clippy::new_without_default, reason = "it is four mebibytes, for a static")]
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: LockedHeap::empty(), memory: Memory(UnsafeCell::new([0; SIZE_BYTES])) }
    }

    /// How much of it is taken, in bytes, as the heap rounds blocks up: 16 at least, and a multiple of 8.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.with(|heap| heap.used())
    }

    /// Does something with the heap, which gets its memory when it is used first.
    fn with<R>(&self, action: impl FnOnce(&mut Heap) -> R) -> R {
        let mut heap = self.heap.lock();
        if heap.size() == 0 {
            // SAFETY: the memory lies in a static beside the heap, nothing else names it, and whoever holds the lock is
            // the only one to find that the heap has none.
            unsafe { heap.init(self.memory.0.get().cast(), SIZE_BYTES) };
        }
        action(&mut heap)
    }
}

impl core::fmt::Debug for StaticHeap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StaticHeap").finish_non_exhaustive()
    }
}

// SAFETY: all is done by the heap inside, under its lock.
unsafe impl GlobalAlloc for StaticHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| heap.allocate_first_fit(layout)).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: as the caller promises.
            self.with(|heap| unsafe { heap.deallocate(block, layout) });
        }
    }
}
