//! The kernel's own heap: four static mebibytes behind a spin lock.
//!
//! It is for the kernel's convenience (`alloc::vec::Vec`, `alloc::format!`); an arena needs no heap.
//! It is large enough for a kernel to take the metadata of a few full-sized arenas from it. Not for
//! fault handlers: the interrupted code may hold the lock.

use core::cell::UnsafeCell;

use linked_list_allocator::LockedHeap;

/// Size of the heap, in bytes.
const SIZE_BYTES: usize = 4 << 20;

#[repr(C, align(4096))]
struct Memory(UnsafeCell<[u8; SIZE_BYTES]>);

// SAFETY: the memory is only reached through `ALLOCATOR`, which locks.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; SIZE_BYTES]));

#[global_allocator]
static ALLOCATOR: LockedHeap = LockedHeap::empty();

/// Gives the allocator its memory.
///
/// # Safety
///
/// Called once, before the first allocation.
pub(crate) unsafe fn init() {
    // SAFETY: the memory is a static that nothing else names, and the caller promises that this
    // is the only call.
    unsafe { ALLOCATOR.lock().init(MEMORY.0.get().cast(), SIZE_BYTES) }
}
