//! Bookkeeping pages from the heap: counted, full of garbage, and refused on demand.

use std::collections::HashSet;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kernel_arena::source::{MetadataPage, MetadataSource};

use super::Mutex;
use super::interrupts::Moments;

/// Never: no call has this number.
const NEVER: u32 = u32::MAX;

pub(super) struct Heap {
    pages: Mutex<HashSet<usize>>,
    calls: AtomicU32,
    fails_at: AtomicU32,
    pub(super) moments: Moments,
}

impl Default for Heap {
    fn default() -> Self {
        let (calls, fails_at) = (AtomicU32::new(0), AtomicU32::new(NEVER));
        Self { pages: Mutex::default(), calls, fails_at, moments: Moments::default() }
    }
}

impl Heap {
    pub(super) fn taken(&self) -> usize {
        self.pages.lock().unwrap().len()
    }

    /// The call with this number from now on (0: the next) finds nothing.
    pub(super) fn fail_in(&self, calls: u32) {
        self.fails_at.store(self.calls.load(SeqCst) + calls, SeqCst);
    }

    /// Whether the failure that was asked for has happened; it does not happen again.
    pub(super) fn has_failed(&self) -> bool {
        self.fails_at.swap(NEVER, SeqCst) < self.calls.load(SeqCst)
    }
}

// SAFETY: pages come from the heap, and go back to it.
unsafe impl MetadataSource for Heap {
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        self.moments.pass();
        if self.calls.fetch_add(1, SeqCst) == self.fails_at.load(SeqCst) {
            return None;
        }
        let mut page = Box::<MetadataPage>::new_uninit();
        // SAFETY: the bytes of the page just allocated.
        unsafe { page.as_mut_ptr().cast::<u8>().write_bytes(0xa5, size_of::<MetadataPage>()) };
        let page = NonNull::from(Box::leak(page)).cast::<MetadataPage>();
        assert!(self.pages.lock().unwrap().insert(page.addr().get()));
        Some(page)
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        assert!(self.pages.lock().unwrap().remove(&page.addr().get()), "it was not taken");
        // SAFETY: from `alloc`, and not freed since, as the set says.
        drop(unsafe { Box::from_raw(page.as_ptr()) });
    }
}
