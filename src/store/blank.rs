//! Large values that begin empty, made where they lie: they never go over a stack, which is small where kernels boot.

use core::ptr::NonNull;

use crate::source::{METADATA_PAGE_BYTES, MetadataPage, MetadataSource};

/// A type whose empty value is all zeros.
///
/// # Safety
/// Memory of its size and alignment that holds zeros is a value of it. (Under `cfg(kernel_arena_loom)`, whose atomics are
/// more than words, nobody relies on that.)
pub(crate) unsafe trait Blank: Sized {
    /// The empty value, for models.
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self;
}

/// Makes an empty value at `place`.
///
/// # Safety
/// The memory is writable, large enough, aligned, and nobody else's.
pub(crate) unsafe fn make_blank<T: Blank>(place: NonNull<T>) {
    #[cfg(not(kernel_arena_loom))]
    // SAFETY: the caller's memory.
    unsafe {
        place.write_bytes(0, 1);
    }
    #[cfg(kernel_arena_loom)]
    // SAFETY: as above.
    unsafe {
        place.write(T::blank());
    }
}

/// An empty value at the start of a metadata page; `None` when there is no memory for it.
pub(crate) fn new_blank<T: Blank>(metadata: &impl MetadataSource) -> Option<NonNull<T>> {
    const { assert!(size_of::<T>() <= METADATA_PAGE_BYTES && align_of::<T>() <= align_of::<MetadataPage>()) };
    let place = metadata.alloc()?.cast();
    // SAFETY: the page is ours alone, and large enough (asserted above).
    unsafe { make_blank(place) };
    Some(place)
}
