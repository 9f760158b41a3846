//! Pages of a piece of memory that the kernel has mapped already.

use core::fmt;
use core::mem::MaybeUninit;

use super::{MetadataPage, PageSource, check_request};
use crate::addr::{PAGE_SHIFT, PAGE_SIZE, PageCount, PageRange, WINDOW_PAGES};
use crate::arena::{AllocError, Reclaimable};
use crate::layout::Sharing;
use crate::pages::{FlatMap, FreeMap, Wanted};
use crate::platform::CpuIdentity;
use crate::sync::{AtomicU64, write_words};

/// Words of bookkeeping to be lent to a [`Region`] of `pages`: one bit a page, and where there are more than 512
/// some 66 bits for each 1024 pages.
pub const fn region_words(pages: usize) -> usize {
    FlatMap::words_for(pages)
}

/// The most pages that so many words serve.
const fn pages_served(pages: usize, words: usize) -> usize {
    let (mut served, mut most) = (0, pages);
    while served < most {
        let middle = served + (most - served).div_ceil(2);
        if region_words(middle) <= words {
            served = middle;
        } else {
            most = middle - 1;
        }
    }
    served
}

/// Pages of a piece of kernel memory of at most 4 GiB, without an arena: private, always mapped, lock-free.
///
/// Offset 4096 is its first byte, so that no object has offset 0.
pub struct Region<C> {
    base: *mut u8,
    /// The first page's address in pages, as far as alignments go: runs are aligned by address.
    origin: u32,
    pages: u32,
    taken: FreeMap<FlatMap>,
    cpus: C,
}

// SAFETY: the region does nothing with its memory but to hand each page out to one caller at a time; the rest is
// atomic.
unsafe impl<C: Send> Send for Region<C> {}
// SAFETY: as above.
unsafe impl<C: Sync> Sync for Region<C> {}

impl<C: CpuIdentity> Region<C> {
    /// The pages of `memory`, with `words` for bookkeeping ([`region_words`]). What is too much of either is not used: with
    /// fewer words than that there are as many pages as the words serve.
    ///
    /// # Safety
    /// `cpus` keeps the contract of [`CpuIdentity`]: allocators on top believe it.
    pub unsafe fn new(
        memory: &'static mut [MaybeUninit<MetadataPage>],
        words: &'static mut [MaybeUninit<AtomicU64>],
        cpus: C,
    ) -> Self {
        let pages = memory.len() * (size_of::<MetadataPage>() >> PAGE_SHIFT);
        let start = memory.as_mut_ptr().cast::<u8>();
        // SAFETY: the memory was lent for ever; the caller vouches for the CPUs.
        unsafe { Self::at(start, pages, words, cpus) }
    }

    /// The same for memory that is known by its address.
    ///
    /// # Safety
    /// `start` is a multiple of 4096 and not null, and `pages` pages of 4096 bytes from there on are writable memory
    /// that is this region's alone for ever; `cpus` keeps the contract of [`CpuIdentity`].
    pub unsafe fn at(start: *mut u8, pages: usize, words: &'static mut [MaybeUninit<AtomicU64>], cpus: C) -> Self {
        let pages = pages_served(pages.min(WINDOW_PAGES as usize - 1), words.len());
        let wanted = region_words(pages);
        let words = write_words(&mut words[..wanted], 0);
        Self {
            base: start.wrapping_sub(1 << PAGE_SHIFT),
            origin: window_page(start),
            pages: u32::try_from(pages).unwrap_or(0),
            taken: FreeMap::new(words, pages),
            cpus,
        }
    }

    /// How many pages are taken.
    pub fn taken_pages(&self) -> u32 {
        self.taken.count() - (self.taken.word_count() * 64 - self.pages)
    }
}

// SAFETY: a page is handed out to whoever set its bit, until that is cleared; the memory is the region's for ever.
// Nothing waits, and all state is atomic.
unsafe impl<C: CpuIdentity> PageSource for Region<C> {
    type Cpus = C;
    const ZEROED: bool = false;

    fn cpus(&self) -> &C {
        &self.cpus
    }

    fn base(&self) -> *mut u8 {
        self.base
    }

    fn extent(&self) -> PageRange {
        PageRange::of(1, self.pages)
    }

    fn sharing(&self) -> Sharing {
        Sharing::Private
    }

    fn alloc_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        check_request(count, align)?;
        let wanted = Wanted { count: count.get(), align: align.get(), origin: self.origin };
        let mut from = 0;
        loop {
            let found = self.taken.lowest(from, wanted, None);
            let found = found.or_else(|| if from > 0 { self.taken.lowest(0, wanted, None) } else { None });
            // Bit 0 is page 1.
            let first = found.ok_or(AllocError::NoSpace(Reclaimable::default()))?;
            if self.taken.claim(first, count.get()).is_ok() {
                return Ok(PageRange::of(first + 1, count.get()));
            }
            // Lost to another, who goes on; what lies below is looked at last.
            from = first;
        }
    }

    fn extend(&self, pages: PageRange, by: PageCount) -> bool {
        let next = (pages.first().number() + pages.count().get()).checked_sub(1);
        let fits = |next| by != PageCount::ZERO && by.get() <= self.pages.saturating_sub(next);
        next.is_some_and(|next| fits(next) && self.taken.claim(next, by.get()).is_ok())
    }

    unsafe fn free_pages(&self, pages: PageRange) {
        self.taken.unclaim(pages.first().number() - 1, pages.count().get());
    }
}

impl<C> fmt::Debug for Region<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("base", &self.base).field("pages", &self.pages).finish_non_exhaustive()
    }
}

/// The number of an address's page, in a window that is aligned to its size.
#[expect(clippy::cast_possible_truncation, reason = "the mask leaves 20 bits")]
fn window_page(address: *mut u8) -> u32 {
    (address.addr() as u64 >> PAGE_SHIFT) as u32 & (WINDOW_PAGES - 1)
}

const _: () = assert!(PAGE_SIZE == 1 << PAGE_SHIFT);
