//! Metadata pages as arrays: filled while they are nobody's, published by one exchange, given back by whoever was
//! slower.

use core::ptr::NonNull;

use crate::source::{METADATA_PAGE_BYTES, MetadataPage, MetadataSource};
use crate::sync::{AtomicPtr, Ordering};

/// A page that begins with `N` things; `None` when there is no memory for it.
pub(crate) fn new_array<T, const N: usize>(
    metadata: &impl MetadataSource,
    make: impl Fn() -> T,
) -> Option<NonNull<[T; N]>> {
    const { assert!(size_of::<[T; N]>() <= METADATA_PAGE_BYTES && align_of::<T>() <= align_of::<MetadataPage>()) };
    let array = metadata.alloc()?.cast::<[T; N]>();
    for number in 0..N {
        // SAFETY: the page has room for `N` (asserted above).
        let place = unsafe { array.cast::<T>().add(number) };
        // SAFETY: the page is ours alone, and aligned for them.
        unsafe { place.write(make()) };
    }
    Some(array)
}

/// Puts what was built at the start of a page into an entry that holds `old`; if another CPU was faster the page goes
/// back, for what that one built serves as well. Release: built before it can be found.
pub(crate) fn publish<T>(entry: &AtomicPtr<T>, old: *mut T, built: NonNull<T>, metadata: &impl MetadataSource) {
    if entry.compare_exchange(old, built.as_ptr(), Ordering::Release, Ordering::Relaxed).is_err() {
        // SAFETY: callers took the page from this source, and have shown it to nobody.
        unsafe { metadata.free(built.cast()) };
    }
}
