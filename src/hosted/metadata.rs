//! Pages for bookkeeping, from a mapping of the process that no window overlaps.
//!
//! Addresses for all pages are reserved at once; memory comes behind a page when it is first written to. Pages that
//! come back are kept for the next who wants one: an allocator's bookkeeping grows to its high mark and is used again.

use core::ptr::NonNull;
use core::slice;

use super::mapping::{GRANULE, MapError};
use super::window::Window;
use rustix::io::Errno;

use crate::addr::{PAGE_SHIFT, PageCount, WINDOW_PAGES};
use crate::source::{MetadataPage, MetadataSource};
use crate::stack::{Links, TaggedStack};
use crate::sync::{AtomicU32, Ordering};

/// A number of pages for bookkeeping, lock-free. Dropping the source unmaps them. As [`HostPages`](super::HostPages)
/// does, it maps them piece by piece where the host does not map them at once.
#[derive(Debug)]
pub struct HostMetadata {
    /// A link for each page, and then, from the next page boundary on, the pages.
    memory: Window,
    pages: u32,
    /// So many were mapped at once; those behind are mapped when they are wanted.
    ready: u32,
    /// Of the first, those that were never handed out start here.
    fresh: AtomicU32,
    /// Pages that were mapped later.
    grown: AtomicU32,
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
        let links = Self::link_bytes(pages.get());
        let memory = Window::new(links + ((pages.get() as usize) << PAGE_SHIFT), 1)?;
        // The links are wanted at once: they take a thousandth.
        if memory.mapped() < links && memory.grow(links - memory.mapped(), 0).is_none() {
            return Err(MapError::Refused { errno: Errno::NOMEM.raw_os_error() });
        }
        let ready = page_count(memory.mapped() - links).min(pages.get());
        let (fresh, grown) = (AtomicU32::new(0), AtomicU32::new(0));
        Ok(Self { memory, pages: pages.get(), ready, fresh, grown, returned: TaggedStack::new() })
    }

    /// How many pages were ever handed out, the most at one time or more.
    pub fn used_pages(&self) -> u32 {
        self.fresh.load(Ordering::Relaxed) + self.grown.load(Ordering::Relaxed)
    }

    /// A page of a piece that is mapped now; the others of that piece are as if they had come back.
    #[cold]
    #[inline(never)]
    fn grow(&self) -> Option<NonNull<MetadataPage>> {
        let piece = self.memory.grow(GRANULE, GRANULE)?;
        let links = Self::link_bytes(self.pages);
        let (first, end) = (page_count(piece.start - links), page_count(piece.end - links).min(self.pages));
        self.grown.fetch_add(end - first, Ordering::Relaxed);
        (first + 1..end).rev().for_each(|index| self.returned.push(index, self));
        Some(self.page(first))
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
        let next = |fresh| (fresh < self.ready).then_some(fresh + 1);
        match self.fresh.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(fresh) => Some(self.page(fresh)),
            Err(_) => self.grow(),
        }
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        let bytes = page.addr().get().wrapping_sub(self.first_page().addr().get());
        if let Ok(index) = u32::try_from(bytes >> PAGE_SHIFT) {
            self.returned.push(index, self);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "callers have less than 2^20 pages")]
const fn page_count(bytes: usize) -> u32 {
    (bytes >> PAGE_SHIFT) as u32
}
