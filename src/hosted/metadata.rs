//! Pages for bookkeeping, from a mapping of the process that no window overlaps.
//!
//! Addresses for all pages are reserved at once; memory comes behind a page when it is first written to. Pages that
//! come back are kept for the next who wants one: an allocator's bookkeeping grows to its high mark and is used again.

use core::ptr::NonNull;
use core::slice;

use super::mapping::{MapError, Mapping};
use crate::addr::{PAGE_SHIFT, PageCount, WINDOW_PAGES};
use crate::source::{MetadataPage, MetadataSource};
use crate::stack::{Links, TaggedStack};
use crate::sync::{AtomicU32, Ordering};

/// A number of pages for bookkeeping, lock-free. Dropping the source unmaps them.
#[derive(Debug)]
pub struct HostMetadata {
    /// A link for each page, and then, from the next page boundary on, the pages.
    memory: Mapping,
    pages: u32,
    /// Pages that were never handed out start here.
    fresh: AtomicU32,
    returned: TaggedStack<20>,
}

impl HostMetadata {
    /// Reserves so many pages.
    ///
    /// # Errors
    /// [`MapError`]; nothing stays mapped.
    pub fn reserve(pages: PageCount) -> Result<Self, MapError> {
        if pages == PageCount::ZERO || pages.get() >= WINDOW_PAGES {
            return Err(MapError::BadSize);
        }
        let bytes = Self::link_bytes(pages.get()) + ((pages.get() as usize) << PAGE_SHIFT);
        let memory = Mapping::new(bytes, 1)?;
        Ok(Self { memory, pages: pages.get(), fresh: AtomicU32::new(0), returned: TaggedStack::new() })
    }

    /// How many pages were ever handed out, the most at one time or more.
    pub fn used_pages(&self) -> u32 {
        self.fresh.load(Ordering::Relaxed)
    }

    /// Unmaps all pages.
    ///
    /// # Safety
    /// From now on the source and its pages are neither used nor dropped.
    pub(super) unsafe fn unmap(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.memory.unmap() };
    }

    const fn link_bytes(pages: u32) -> usize {
        (pages as usize * size_of::<AtomicU32>()).next_multiple_of(size_of::<MetadataPage>())
    }

    fn first_page(&self) -> NonNull<MetadataPage> {
        // SAFETY: the links are within the mapping, which has the pages after them.
        unsafe { self.memory.start().add(Self::link_bytes(self.pages)) }.cast()
    }

    fn page(&self, index: u32) -> NonNull<MetadataPage> {
        // SAFETY: the counter and the stack have only numbers below `pages`.
        unsafe { self.first_page().add(index as usize) }
    }
}

impl Links for HostMetadata {
    fn link(&self, index: u32) -> Option<&AtomicU32> {
        let first = self.memory.start().cast::<AtomicU32>().as_ptr();
        // SAFETY: the mapping begins with that many words, zeroed when they are first touched, used as atomics alone,
        // and there as long as `self`.
        unsafe { slice::from_raw_parts(first, self.pages as usize) }.get(index as usize)
    }
}

// SAFETY: each page is a part of the mapping, at a multiple of 4096, and handed out once until it comes back: by the
// counter the first time, by the stack later. The host chose addresses that no other mapping has.
unsafe impl MetadataSource for HostMetadata {
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        if let Some(index) = self.returned.pop(self) {
            return Some(self.page(index));
        }
        // Relaxed: the number alone matters; nobody wrote to a fresh page.
        let next = |fresh| (fresh < self.pages).then_some(fresh + 1);
        let fresh = self.fresh.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        Some(self.page(fresh.ok()?))
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        let bytes = page.addr().get().wrapping_sub(self.first_page().addr().get());
        if let Ok(index) = u32::try_from(bytes >> PAGE_SHIFT) {
            self.returned.push(index, self);
        }
    }
}
