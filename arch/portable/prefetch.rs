//! Fetching a cache line ahead, on a processor that the crate does not know: its own prefetcher does what it can.

/// Has nothing fetched.
#[inline]
pub(crate) fn prefetch_for_writing(_at: *const u8) {}
