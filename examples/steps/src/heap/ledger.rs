//! Frames for a heap's bookkeeping, which come back when the heap is gone: in a kernel a heap stays for ever.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use kernel_arena::source::{FrameMetadata, MetadataPage, MetadataSource};
use support::KernelPlatform;

/// The most pages that a test's heap takes.
const MOST: usize = 512;

/// A source that remembers what it has lent.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    frames: FrameMetadata<'a, KernelPlatform>,
    lent: [AtomicPtr<MetadataPage>; MOST],
}

impl<'a> Ledger<'a> {
    pub(super) const fn new(platform: &'a KernelPlatform) -> Self {
        Self { frames: FrameMetadata::new(platform), lent: [const { AtomicPtr::new(null_mut()) }; MOST] }
    }

    /// Replaces one entry by another; says whether there was one.
    fn replace(&self, from: *mut MetadataPage, to: *mut MetadataPage) -> bool {
        let replaced =
            |place: &AtomicPtr<_>| place.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        self.lent.iter().any(replaced)
    }
}

impl Drop for Ledger<'_> {
    fn drop(&mut self) {
        for page in self.lent.iter().filter_map(|place| NonNull::new(place.swap(null_mut(), Ordering::Relaxed))) {
            // SAFETY: it was lent, did not come back, and the heap that had it, which borrows this, is gone.
            unsafe { self.frames.free(page) };
        }
    }
}

// SAFETY: pages are frames of the kernel's, each lent once until it comes back.
unsafe impl MetadataSource for Ledger<'_> {
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        let page = self.frames.alloc()?;
        // Should there be no room to remember it, a frame is missing in the end, and that is noticed.
        self.replace(null_mut(), page.as_ptr());
        Some(page)
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        self.replace(page.as_ptr(), null_mut());
        // SAFETY: as the caller promises.
        unsafe { self.frames.free(page) };
    }
}
