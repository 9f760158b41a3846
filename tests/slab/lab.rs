//! What an allocator under test is lent: pages and bookkeeping pages of this process, each taken note of.
//!
//! Pages come full of garbage (or of zeros, for [`Pages<true>`]); free ones are full of zeros at first and of [`STALE`] once they
//! were out, and whoever writes to one is found out when it is handed out again. What goes back must have been taken. Sources
//! fail when they are told to.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

use kernel_arena::source::{MetadataPage, MetadataSource, PageSource, Region, region_words};
use kernel_arena::sync::AtomicU64;
use kernel_arena::{AllocError, ArenaPtr, Misuse, PageCount, PageIndex, PageRange, Reclaimable, Sharing};

use super::book::Book;
pub(crate) use super::book::Fail;
use super::cpus::{Cpus, point};

const PAGE: usize = 4096;
/// What the base is a multiple of, but for [`Lab::crooked`].
const ALIGN: usize = 1 << 21;
const GARBAGE: u8 = 0x5a;
const STALE: u8 = 0xee;

/// Both sources, and what they noted.
pub(crate) struct Lab {
    region: Region<Cpus>,
    memory: NonNull<u8>,
    layout: Layout,
    words: *mut [MaybeUninit<AtomicU64>],
    book: Mutex<Book>,
}

// SAFETY: the pages are the region's, which is shared; all else is behind the lock.
unsafe impl Send for Lab {}
// SAFETY: as above.
unsafe impl Sync for Lab {}

impl Lab {
    /// A lab with so many pages, whose offsets are aligned as their addresses are.
    pub(crate) fn new(pages: usize) -> Arc<Self> {
        Self::crooked(pages, 0)
    }

    /// The same, with a base that lies so many pages after an aligned address.
    pub(crate) fn crooked(pages: usize, shift: usize) -> Arc<Self> {
        // Aligned by hand: what the system hands out zeroed it has touched where it aligns more than usual.
        let layout = Layout::from_size_align((pages + 1 + shift) * PAGE + ALIGN, 8).unwrap();
        // Zeroed, since many labs are much larger than what is used of them, and this touches none of it.
        // SAFETY: the size is not 0.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        let words = Box::into_raw(Box::new_uninit_slice(region_words(pages)));
        let aligned = memory.as_ptr().map_addr(|address| address.next_multiple_of(ALIGN));
        let start = aligned.wrapping_add((1 + shift) * PAGE);
        // SAFETY: leaked a moment ago, and made a box again only when the region is gone.
        let lent = unsafe { &mut *words };
        // SAFETY: the pages are inside the memory, which is the region's as long as it is used.
        let region = unsafe { Region::at(start, pages, lent, Cpus) };
        Arc::new(Self { region, memory, layout, words, book: Mutex::default() })
    }

    /// The notes. Nothing of the allocator's may be called while they are held.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    pub(crate) fn pages_out(&self) -> usize {
        self.book().taken.len()
    }

    pub(crate) fn metadata_out(&self) -> usize {
        self.book().metadata.len()
    }

    /// The most pages in a row that are not out.
    pub(crate) fn longest_gap(&self) -> u32 {
        let end = self.region.extent().first().number() + self.region.extent().count().get();
        let mut last = 0;
        let mut longest = 0;
        for page in self.book().taken.iter().copied().chain([end]) {
            longest = longest.max(page - last - 1);
            last = page;
        }
        longest
    }

    fn bytes(&self, pages: PageRange) -> *mut [u8] {
        let start = self.region.base().wrapping_add(pages.to_ptr().offset() as usize);
        std::ptr::slice_from_raw_parts_mut(start, usize::try_from(pages.count().bytes()).unwrap())
    }

    fn note_taken(&self, pages: PageRange, fill: u8) {
        // SAFETY: these pages were handed to us alone a moment ago.
        let bytes = unsafe { &mut *self.bytes(pages) };
        let mut book = self.book();
        for (page, bytes) in pages.pages().zip(bytes.chunks_exact(PAGE)) {
            let left = if book.used.insert(page.number()) { [0; PAGE] } else { [STALE; PAGE] };
            assert!(*bytes == left, "{page:?} was written to while it was free");
            assert!(book.taken.insert(page.number()), "{page:?} is handed out twice");
        }
        bytes.fill(fill);
        book.runs.push(pages.count().get());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // SAFETY: from `Box::into_raw` in `new`; the region is not used any more.
        drop(unsafe { Box::from_raw(self.words) });
        // SAFETY: allocated in `new` with this layout; who used the pages had a share in the lab.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

/// The lab's pages, zeroed or not.
#[derive(Clone)]
pub(crate) struct Pages<const ZEROED: bool = false>(pub(crate) Arc<Lab>);

// SAFETY: the region's pages, which are memory of the lab that `self` keeps; private, and filled with zeros if so said. The
// lock is held over nothing that calls back.
unsafe impl<const ZEROED: bool> PageSource for Pages<ZEROED> {
    type Cpus = Cpus;
    const ZEROED: bool = ZEROED;

    fn cpus(&self) -> &Cpus {
        self.0.region.cpus()
    }

    fn base(&self) -> *mut u8 {
        self.0.region.base()
    }

    fn extent(&self) -> PageRange {
        self.0.region.extent()
    }

    fn sharing(&self) -> Sharing {
        Sharing::Private
    }

    fn alloc_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        point();
        let fails = {
            let mut book = self.0.book();
            book.page_calls += 1;
            book.pages_fail.hits()
        };
        let pages = match fails {
            true => Err(AllocError::NoSpace(Reclaimable::default())),
            false => self.0.region.alloc_pages(count, align),
        };
        if let Ok(pages) = pages {
            self.0.note_taken(pages, if ZEROED { 0 } else { GARBAGE });
        }
        point();
        pages
    }

    fn extend(&self, pages: PageRange, by: PageCount) -> bool {
        point();
        let extended = self.0.region.extend(pages, by);
        if extended {
            let next = PageIndex::new(pages.first().number() + pages.count().get()).unwrap();
            self.0.note_taken(PageRange::new(next, by).unwrap(), if ZEROED { 0 } else { GARBAGE });
        }
        extended
    }

    unsafe fn free_pages(&self, pages: PageRange) {
        point();
        {
            let mut book = self.0.book();
            book.free_calls += 1;
            for page in pages.pages() {
                assert!(book.taken.remove(&page.number()), "{page:?} goes back but is not out");
            }
        }
        // SAFETY: in nobody's use, says the caller, and not handed out before the next line.
        unsafe { (*self.0.bytes(pages)).fill(STALE) };
        // SAFETY: taken from the region, as the notes say.
        unsafe { self.0.region.free_pages(pages) };
        point();
    }

    fn record_misuse(&self, at: Option<ArenaPtr>, misuse: Misuse) {
        self.0.book().misuses.push((at.unwrap_or(super::book::NULL), misuse));
    }

    fn reclaim(&self) {
        self.0.book().reclaims += 1;
    }
}

/// Bookkeeping pages.
#[derive(Clone)]
pub(crate) struct Metadata(pub(crate) Arc<Lab>);

const METADATA: Layout = Layout::new::<MetadataPage>();

// SAFETY: each page is an allocation of this process of its own.
unsafe impl MetadataSource for Metadata {
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        point();
        {
            let mut book = self.0.book();
            book.metadata_calls += 1;
            if book.metadata_fail.hits() {
                return None;
            }
        }
        // SAFETY: the size is not 0.
        let page = NonNull::new(unsafe { alloc(METADATA) })?;
        // SAFETY: that large.
        unsafe { page.write_bytes(GARBAGE, METADATA.size()) };
        self.0.book().metadata.insert(page.addr().get());
        point();
        Some(page.cast())
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        point();
        assert!(self.0.book().metadata.remove(&page.addr().get()), "{page:?} goes back but is not out");
        // SAFETY: allocated above with this layout, says the book.
        unsafe { dealloc(page.cast().as_ptr(), METADATA) };
    }
}
