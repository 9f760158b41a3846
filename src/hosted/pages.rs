//! Pages for objects, from one window of the process.
//!
//! The operating system puts memory behind a page when it is first touched, which costs more than all the rest, so
//! freed pages are kept with their memory for whoever comes next. When more are kept than may be (`kept`), or by
//! [`reclaim`](PageSource::reclaim), all that is kept goes back to the system. What was kept is not zero when it is
//! handed out again: whoever takes pages learns which were.
//!
//! Where the host does not map all of the window at once, pages that are not mapped yet count as taken in the region,
//! and a piece that was mapped is *freed* there, by whoever found nothing else.

use core::mem::MaybeUninit;
use core::ops::Range;
use core::slice;

use super::growth::{Growth, Others};
use super::kept::Kept;
use super::mapping::{self, MapError, Mapping};
use super::threads::Threads;
use super::window::Window;
use crate::addr::{PAGE_SHIFT, PageCount, PageRange, WINDOW_PAGES};
use crate::arena::AllocError;
use crate::layout::Sharing;
use crate::pages::{Bitmap, ones};
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
    kept: Kept,
    /// A run freed lately for each length, by its remainder: (first page, count) in one word. A hint, 0 if there is
    /// none.
    recent: &'static [AtomicU64],
    /// Whether the system takes single pages: not where its own are larger, or where it keeps all memory.
    gives_back: bool,
    /// Pages of the window that are not mapped yet.
    absent: AtomicU32,
    growth: Growth,
    /// The window, and the words of the maps. Fields are dropped in this order.
    memory: Window,
    words: Mapping,
}

/// Lengths of runs that are remembered apart.
const RECENT: usize = 16;
/// How often somebody who finds no page lets others run who are mapping some.
const PATIENCE: u32 = 100;
/// What is mapped at once, if the host allows it, where it does not map the whole window.
const PIECE: usize = 1 << 20;

impl HostPages {
    /// Reserves a window with room for so many pages. Memory comes behind them when they are touched.
    ///
    /// Where the host refuses so much address space, or locks all memory that is mapped, the window is mapped piece by
    /// piece: an allocation that finds no pages tries for more, up to the number that was asked for.
    ///
    /// # Errors
    /// [`MapError`]; nothing stays mapped.
    pub fn reserve(pages: PageCount) -> Result<Self, MapError> {
        if pages == PageCount::ZERO || pages.get() >= WINDOW_PAGES {
            return Err(MapError::BadSize);
        }
        let bytes = to_bytes(pages) + (1 << PAGE_SHIFT);
        Self::within(Window::new(bytes, bytes.next_power_of_two())?, pages)
    }

    /// The same on a window that has room for a page more.
    fn within(memory: Window, pages: PageCount) -> Result<Self, MapError> {
        let count = pages.get() as usize;
        let (region_words, map_words) = (region_words(count), count.div_ceil(64));
        let words = Mapping::new((region_words + map_words + RECENT) * size_of::<AtomicU64>())?;
        // The region's first page is page 1.
        // SAFETY: the window has a page more than the region.
        let start = unsafe { memory.start().add(1 << PAGE_SHIFT) }.as_ptr();
        let lent = words.start().cast::<MaybeUninit<AtomicU64>>().as_ptr();
        // SAFETY: the mapping has that many words, which are nobody else's; it is dropped after the region, which keeps
        // them to itself.
        let lent = unsafe { slice::from_raw_parts_mut(lent, region_words) };
        // SAFETY: the pages after the first are mapped, or will be before they are free; they are aligned, and the
        // region's alone, and outlive it, as above.
        let region = unsafe { Region::at(start, count, lent, Threads::new()) };
        // SAFETY: the mapping has that many words more, which are nobody else's.
        let kept = unsafe { zeros(&words, region_words, map_words) };
        // SAFETY: as above.
        let recent = unsafe { zeros(&words, region_words + map_words, RECENT) };
        // Tried out on page 1, which lies on no larger page's boundary.
        // SAFETY: nobody uses the page yet.
        let gives_back = unsafe { mapping::refresh(start, 1 << PAGE_SHIFT) }.is_ok();
        let present = page_count(memory.mapped()).saturating_sub(1).min(pages.get());
        let absent = pages.get() - present;
        if absent > 0 {
            region.extend(PageRange::of(1, present), PageCount::saturating(absent));
        }
        let (kept, absent) = (Kept::new(Bitmap::new(kept), pages), AtomicU32::new(absent));
        Ok(Self { region, kept, recent, gives_back, absent, growth: Growth::new(), memory, words })
    }

    /// How many pages are taken.
    pub fn taken_pages(&self) -> u32 {
        self.region.taken_pages().saturating_sub(self.absent.load(Ordering::Relaxed))
    }

    /// How many free pages have memory behind them, about: an estimate while others allocate and free.
    pub fn kept_pages(&self) -> u32 {
        self.kept.count()
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

    /// Takes pages, and gives those that were kept to `each`, word by word.
    fn take(&self, count: PageCount, align: PageCount, each: impl FnMut(u32, u64)) -> Result<PageRange, AllocError> {
        check_request(count, align)?;
        let pages = match self.take_recent(count, align) {
            Some(pages) => pages,
            None => self.take_lowest(count, align)?,
        };
        let kept = self.kept.take(pages, each);
        self.kept.missed(pages.count().get() - kept);
        Ok(pages)
    }

    fn take_lowest(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        let mut patience = PATIENCE;
        loop {
            let look = self.growth.look();
            let reclaimable = match self.region.alloc_pages(count, align) {
                Err(AllocError::NoSpace(reclaimable)) => reclaimable,
                done => return done,
            };
            if self.grow(count, align) {
                continue;
            }
            match self.growth.others(look) {
                Others::Rest => return Err(AllocError::NoSpace(reclaimable)),
                Others::Grew => {}
                Others::AreGrowing if patience == 0 => return Err(AllocError::Busy(reclaimable)),
                Others::AreGrowing => {
                    patience -= 1;
                    mapping::let_others_run();
                }
            }
        }
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

    /// Maps the next piece of the window, large enough for such a run; says whether there is one. By then others may
    /// have taken it.
    #[cold]
    #[inline(never)]
    fn grow(&self, count: PageCount, align: PageCount) -> bool {
        if self.absent.load(Ordering::Relaxed) == 0 {
            return false;
        }
        // A run that is aligned may begin after the piece does.
        let least = to_bytes(count) + to_bytes(align) - (1 << PAGE_SHIFT);
        self.growth.begin();
        let Some(piece) = self.memory.grow(least, PIECE) else {
            self.growth.give_up();
            return false;
        };
        self.put(piece);
        true
    }

    /// Frees a piece of the window in the region: it was mapped just now.
    fn put(&self, piece: Range<usize>) {
        let (first, end) = (page_count(piece.start), page_count(piece.end).min(self.extent().count().get() + 1));
        self.absent.fetch_sub(end - first, Ordering::Relaxed);
        // SAFETY: taken when the window was made, mapped now, and nobody has them.
        unsafe { self.region.free_pages(PageRange::of(first, end - first)) };
        self.growth.end();
    }

    /// Fills pages with zeros: those of a word of 64 that have their bits in `pages`.
    fn zero(&self, word: u32, pages: u64) {
        for bit in ones(pages) {
            let page = self.base().wrapping_add((word as usize * 64 + bit as usize + 1) << PAGE_SHIFT);
            // SAFETY: callers hold these pages, which lie in the window.
            unsafe { page.write_bytes(0, 1 << PAGE_SHIFT) };
        }
    }

    /// Gives all memory that is kept back to the system, a word of pages at a time: they are taken for that moment.
    fn give_back(&self) {
        if !self.gives_back {
            return;
        }
        for word in 0..self.kept.word_count() {
            let mut kept = self.kept.word(word);
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

    /// Frees pages without their memory, if the system takes it; else it is kept.
    ///
    /// # Safety
    /// As for [`free_pages`](PageSource::free_pages).
    unsafe fn free_clean(&self, pages: PageRange) {
        self.kept.take(pages, |_, _| {});
        let start = self.base().wrapping_add(pages.to_ptr().offset() as usize);
        // SAFETY: pages of the window, in nobody's use.
        if !self.gives_back || unsafe { mapping::refresh(start, to_bytes(pages.count())) }.is_err() {
            self.kept.keep(pages);
        }
        // SAFETY: as the caller promises.
        unsafe { self.region.free_pages(pages) }
    }
}

/// Words of a mapping, as they were mapped.
///
/// # Safety
/// The words are within the mapping, untouched, and the caller's alone, who does not use them after it.
unsafe fn zeros(words: &Mapping, first: usize, count: usize) -> &'static [AtomicU64] {
    // SAFETY: within the mapping.
    let start = unsafe { words.start().cast::<AtomicU64>().add(first) };
    // SAFETY: that many zeroed, aligned words, nobody else's.
    unsafe { slice::from_raw_parts(start.as_ptr(), count) }
}

#[expect(clippy::cast_possible_truncation, reason = "a window has at most 4 GiB, and the crate is for 64-bit machines")]
const fn to_bytes(pages: PageCount) -> usize {
    pages.bytes() as usize
}

#[expect(clippy::cast_possible_truncation, reason = "a window has at most 2^20 pages")]
const fn page_count(bytes: usize) -> u32 {
    (bytes >> PAGE_SHIFT) as u32
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
        self.take(count, align, |_, _| {})
    }

    /// Only pages that were kept are written to: the others are zero.
    fn alloc_zeroed_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        self.take(count, align, |word, kept| self.zero(word, kept))
    }

    fn extend(&self, pages: PageRange, by: PageCount) -> bool {
        let taken = self.region.extend(pages, by);
        if taken {
            let more = PageRange::of(pages.first().number() + pages.count().get(), by.get());
            let kept = self.kept.take(more, |_, _| {});
            self.kept.missed(by.get() - kept);
        }
        taken
    }

    unsafe fn free_pages(&self, pages: PageRange) {
        let (count, most) = (pages.count().get(), self.kept.limit());
        if self.gives_back && count > most / 2 {
            self.kept.give(count);
            // SAFETY: the caller's, in nobody's use.
            return unsafe { self.free_clean(pages) };
        }
        let kept = self.kept.keep(pages);
        let run = u64::from(pages.first().number()) << 32 | u64::from(count);
        self.recent[count as usize % RECENT].store(run, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { self.region.free_pages(pages) };
        if self.gives_back && kept > most {
            self.kept.give(kept);
            self.give_back();
        }
    }

    fn reclaim(&self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const COUNT: PageCount = PageCount::saturating(63);

    /// A source whose last piece is mapped, and in the hands of the caller.
    fn with_the_last_piece_in_hand() -> (HostPages, Range<usize>) {
        let bytes = to_bytes(COUNT) + (1 << PAGE_SHIFT);
        let source = HostPages::within(Window::in_pieces(bytes, bytes).unwrap(), COUNT).unwrap();
        let first = source.region.alloc_pages(PageCount::saturating(15), PageCount::ONE);
        assert!(first.is_ok(), "the first 64 KiB, without the first page");
        source.growth.begin();
        let piece = source.memory.grow(bytes - (1 << 16), PIECE).unwrap();
        (source, piece)
    }

    #[test]
    fn pages_in_the_hands_of_another_are_not_gone() {
        let (source, piece) = with_the_last_piece_in_hand();
        let one = || source.alloc_pages(PageCount::ONE, PageCount::ONE);
        assert!(matches!(one(), Err(AllocError::Busy(_))));
        source.put(piece);
        assert_eq!(one().unwrap().first().number(), 16);
        // Now they are.
        assert!(matches!(source.alloc_pages(COUNT, PageCount::ONE), Err(AllocError::NoSpace(_))));
    }

    #[test]
    fn nobody_is_told_that_there_is_no_space_while_a_piece_is_on_its_way() {
        let (source, piece) = with_the_last_piece_in_hand();
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                loop {
                    match source.alloc_pages(PageCount::ONE, PageCount::ONE) {
                        Err(AllocError::Busy(_)) => thread::yield_now(),
                        done => return done,
                    }
                }
            });
            thread::yield_now();
            source.put(piece);
            assert!(other.join().unwrap().is_ok());
        });
    }
}
