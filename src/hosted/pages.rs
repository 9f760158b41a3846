//! Pages for objects, from one mapping of the process.
//!
//! The operating system puts memory behind a page when it is first touched, which costs more than all the rest, so
//! freed pages are kept with their memory for whoever comes next. When more than a 128th of the window is kept, or by
//! [`reclaim`](PageSource::reclaim), all that is kept goes back to the system. What was kept is not zero when it is
//! handed out again, and the source remembers which pages these are.

use core::mem::MaybeUninit;
use core::slice;

use super::mapping::{self, MapError, Mapping};
use super::threads::Threads;
use crate::addr::{PAGE_SHIFT, PageCount, PageRange, WINDOW_PAGES};
use crate::arena::AllocError;
use crate::layout::Sharing;
use crate::pages::{Bitmap, masks, ones};
use crate::source::{PageSource, Region, check_request, region_words};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Up to 4 GiB of this process's private memory, lock-free.
///
/// While kept pages go back to the system, up to 64 of them at a time count as taken.
///
/// The base is a multiple of the window's size rounded up to a power of two, so an offset is aligned as its address is.
/// Page 0 is never handed out. Dropping the source unmaps its pages.
///
/// ```
/// use kernel_arena::{PageCount, hosted::HostPages, source::PageSource};
/// let pages = HostPages::reserve(PageCount::new(1000).unwrap())?;
/// let run = pages.alloc_pages(PageCount::new(3).unwrap(), PageCount::ONE).unwrap();
/// let first = pages.base().wrapping_add(run.to_ptr().offset() as usize);
/// // SAFETY: the pages were just handed out, to nobody else.
/// unsafe { first.write(1) };
/// // SAFETY: they came from this source, and are not used any more.
/// unsafe { pages.free_pages(run) };
/// assert_eq!((pages.taken_pages(), pages.kept_pages()), (0, 3));
/// pages.reclaim();
/// assert_eq!(pages.kept_pages(), 0);
/// # Ok::<(), kernel_arena::hosted::MapError>(())
/// ```
#[derive(Debug)]
pub struct HostPages {
    region: Region<Threads>,
    /// Free pages with memory behind them. Only who holds a page changes its bit here and in `used`.
    kept: Bitmap,
    /// Pages that were kept before they were handed out. Says nothing of a free page.
    used: Bitmap,
    kept_count: AtomicU32,
    /// A run freed lately for each length, by its remainder: (first page, count) in one word. A hint, 0 if there is
    /// none.
    recent: [AtomicU64; RECENT],
    /// Whether the system takes single pages: not where its own are larger.
    gives_back: bool,
    /// The window, and the bits of the three maps. Fields are dropped in this order.
    memory: Mapping,
    words: Mapping,
}

/// At most one page in so many is kept.
const KEPT_FRACTION: u32 = 128;
/// Lengths of runs that are remembered apart.
const RECENT: usize = 16;

impl HostPages {
    /// Reserves a window with room for so many pages. Memory comes behind them when they are touched.
    ///
    /// # Errors
    /// [`MapError`]; nothing stays mapped.
    pub fn reserve(pages: PageCount) -> Result<Self, MapError> {
        if pages == PageCount::ZERO || pages.get() >= WINDOW_PAGES {
            return Err(MapError::BadSize);
        }
        let count = pages.get() as usize;
        let bytes = (count + 1) << PAGE_SHIFT;
        let memory = Mapping::new(bytes, bytes.next_power_of_two())?;
        let map_words = region_words(count);
        let words = Mapping::new(3 * map_words * size_of::<AtomicU64>(), 1)?;
        // The region's first page is page 1.
        // SAFETY: the window has a page more than the region.
        let start = unsafe { memory.start().add(1 << PAGE_SHIFT) }.as_ptr();
        let lent = words.start().cast::<MaybeUninit<AtomicU64>>().as_ptr();
        // SAFETY: the mapping has that many words, which are nobody else's; it is dropped after the region, which keeps
        // them to itself.
        let lent = unsafe { slice::from_raw_parts_mut(lent, map_words) };
        // SAFETY: the pages after the first are mapped, aligned, and the region's alone; they outlive it, as above.
        let region = unsafe { Region::at(start, count, lent, Threads::new()) };
        // SAFETY: the mapping has three times that many words, and these are nobody else's.
        let [kept, used] = [1, 2].map(|map| unsafe { bits(&words, map * map_words, map_words) });
        // Tried out on page 1, which lies on no larger page's boundary.
        // SAFETY: nobody uses the page yet.
        let gives_back = unsafe { mapping::refresh(start, 1 << PAGE_SHIFT) }.is_ok();
        Ok(Self {
            region,
            kept,
            used,
            kept_count: AtomicU32::new(0),
            recent: Default::default(),
            gives_back,
            memory,
            words,
        })
    }

    /// How many pages are taken.
    pub fn taken_pages(&self) -> u32 {
        self.region.taken_pages()
    }

    /// How many free pages have memory behind them, by and large.
    pub fn kept_pages(&self) -> u32 {
        self.kept_count.load(Ordering::Relaxed)
    }

    /// Fills a run with zeros: the pages that were kept; the others are zero.
    ///
    /// # Safety
    /// The run was handed out by this source and is as it was then; nobody else uses it.
    #[expect(clippy::cast_possible_truncation, reason = "a run lies within the 4 GiB of the window")]
    pub(super) unsafe fn zero_kept(&self, start: *mut u8, bytes: usize) {
        let offset = start.addr().wrapping_sub(self.base().addr()) as u32;
        for (word, mask) in masks((offset >> PAGE_SHIFT) - 1, bytes.div_ceil(1 << PAGE_SHIFT) as u32) {
            for bit in ones(self.used.word(word, Ordering::Relaxed) & mask) {
                let page = self.base().wrapping_add((word as usize * 64 + bit as usize + 1) << PAGE_SHIFT);
                // SAFETY: a page of the run.
                unsafe { page.write_bytes(0, 1 << PAGE_SHIFT) };
            }
        }
    }

    /// Unmaps the window.
    ///
    /// # Safety
    /// From now on the source and its pages are neither used nor dropped.
    pub(super) unsafe fn unmap(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.memory.unmap() };
        // SAFETY: as above.
        unsafe { self.words.unmap() };
    }

    /// Takes the run of that length that was freed last, if it is still free: its memory is in the caches, and a search
    /// may be long.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
    fn take_recent(&self, count: PageCount, align: PageCount) -> Option<PageRange> {
        let run = self.recent[count.get() as usize % RECENT].load(Ordering::Relaxed);
        let (first, length) = ((run >> 32) as u32, run as u32);
        let fits = first != 0 && length == count.get() && first % align.get() == 0;
        // Whatever the hint says, only free pages of the region are taken.
        (fits && self.region.extend(PageRange::of(first, 0), count)).then(|| PageRange::of(first, length))
    }

    /// Notes that pages were handed out.
    fn note_taken(&self, pages: PageRange) {
        let mut count = 0;
        // Relaxed, here and elsewhere: whoever holds a page has its bits alone, and pages change hands in the region.
        for (word, mask) in masks(pages.first().number() - 1, pages.count().get()) {
            let mut were_kept = self.kept.word(word, Ordering::Relaxed) & mask;
            if were_kept != 0 {
                were_kept = self.kept.take(word, mask);
                count += were_kept.count_ones();
            }
            let used = self.used.word(word, Ordering::Relaxed) & mask;
            if were_kept & !used != 0 {
                self.used.set(word, were_kept);
            }
            if used & !were_kept != 0 {
                self.used.take(word, used & !were_kept);
            }
        }
        if count > 0 {
            self.kept_count.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// Gives all memory that is kept back to the system, a word of pages at a time: they are taken for that moment.
    fn give_back(&self) {
        for word in 0..self.kept.word_count() {
            let mut kept = self.kept.word(word, Ordering::Relaxed);
            while kept != 0 {
                let first = kept.trailing_zeros();
                let count = (kept >> first).trailing_ones();
                kept &= u64::MAX.checked_shl(first + count).unwrap_or(0);
                let before = PageRange::of(word * 64 + first + 1, 0);
                if self.region.extend(before, PageCount::saturating(count)) {
                    let run = PageRange::of(word * 64 + first + 1, count);
                    // SAFETY: taken just now.
                    unsafe { self.free_clean(run) };
                }
            }
        }
    }

    /// Frees pages without their memory, if the system takes it.
    ///
    /// # Safety
    /// As for [`free_pages`](PageSource::free_pages).
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a run has at most 4 GiB, and the crate is for 64-bit machines"
    )]
    unsafe fn free_clean(&self, pages: PageRange) {
        self.note_taken(pages);
        let start = self.base().wrapping_add(pages.to_ptr().offset() as usize);
        let bytes = pages.count().bytes() as usize;
        // SAFETY: pages of the mapping, in nobody's use.
        let given_back = self.gives_back && unsafe { mapping::refresh(start, bytes) }.is_ok();
        if !given_back {
            // SAFETY: as above. The system does not take them: its own are larger, or they are locked.
            unsafe { start.write_bytes(0, bytes) };
        }
        // SAFETY: as the caller promises.
        unsafe { self.region.free_pages(pages) }
    }
}

/// A map of bits in a mapping, all clear.
///
/// # Safety
/// The words are within the mapping, untouched, and the map's alone, which is not used after the mapping.
unsafe fn bits(words: &Mapping, first: usize, count: usize) -> Bitmap {
    // SAFETY: within the mapping.
    let start = unsafe { words.start().cast::<AtomicU64>().add(first) };
    // SAFETY: that many zeroed, aligned words, nobody else's.
    Bitmap::new(unsafe { slice::from_raw_parts(start.as_ptr(), count) })
}

// SAFETY: the region hands each page of the mapping out once, until it is given back; the mapping is private memory,
// there as long as the source is, and its base does not move. System calls of this kind may be made at any moment, and
// the rest is atomics.
unsafe impl PageSource for HostPages {
    type Cpus = Threads;
    const ZEROED: bool = false;

    #[inline]
    fn cpus(&self) -> &Threads {
        self.region.cpus()
    }

    #[inline]
    fn base(&self) -> *mut u8 {
        self.region.base()
    }

    fn extent(&self) -> PageRange {
        self.region.extent()
    }

    #[inline]
    fn sharing(&self) -> Sharing {
        Sharing::Private
    }

    fn alloc_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        check_request(count, align)?;
        let pages = match self.take_recent(count, align) {
            Some(pages) => pages,
            None => self.region.alloc_pages(count, align)?,
        };
        self.note_taken(pages);
        Ok(pages)
    }

    fn extend(&self, pages: PageRange, by: PageCount) -> bool {
        let taken = self.region.extend(pages, by);
        if taken {
            self.note_taken(PageRange::of(pages.first().number() + pages.count().get(), by.get()));
        }
        taken
    }

    unsafe fn free_pages(&self, pages: PageRange) {
        let (count, most) = (pages.count().get(), self.extent().count().get() / KEPT_FRACTION);
        if count > most / 2 {
            // SAFETY: the caller's, in nobody's use.
            return unsafe { self.free_clean(pages) };
        }
        for (word, mask) in masks(pages.first().number() - 1, count) {
            self.kept.set(word, mask);
        }
        let kept = self.kept_count.fetch_add(count, Ordering::Relaxed) + count;
        let run = u64::from(pages.first().number()) << 32 | u64::from(count);
        self.recent[count as usize % RECENT].store(run, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { self.region.free_pages(pages) };
        if kept > most {
            self.give_back();
        }
    }

    fn reclaim(&self) {
        self.give_back();
    }
}
