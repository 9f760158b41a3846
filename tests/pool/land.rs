//! A region that remembers what was asked of it.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kernel_arena::platform::{CpuCount, CpuIdentity, CpuLevel};
use kernel_arena::source::{MetadataPage, PageSource, Region, region_words};
use kernel_arena::{AllocError, ArenaPtr, MetadataWord, Misuse, PageCount, PageRange, Sharing};

use super::interrupts::Moments;
use super::{Mutex, PAGES};

/// CPUs that have no names.
pub(super) struct Nameless;

impl CpuIdentity for Nameless {
    fn current(&self) -> Option<CpuLevel> {
        None
    }
    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

pub(super) struct Land {
    pub(super) region: Region<Nameless>,
    memory: *mut [MaybeUninit<MetadataPage>],
    words: *mut [MaybeUninit<MetadataWord>],
    pub(super) recorded: Mutex<Vec<(ArenaPtr, Misuse)>>,
    /// What was handed out and given back, in order.
    pub(super) traffic: Mutex<Vec<Traffic>>,
    /// No more than so many pages.
    limit: AtomicU32,
    pub(super) moments: Moments,
}

/// Pages that went over the border, by number and count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    Out(u32, u32),
    Back(u32, u32),
}

impl Default for Land {
    fn default() -> Self {
        Self::with_pages(PAGES)
    }
}

impl Land {
    pub(super) fn with_pages(pages: u32) -> Self {
        let memory = Box::into_raw(Box::<[MetadataPage]>::new_uninit_slice(pages as usize));
        // SAFETY: leaked a moment ago, and made a box again only when the region is gone.
        let lent = unsafe { &mut *memory };
        // SAFETY: the bytes of the pages just allocated. What nobody wrote to is garbage.
        unsafe { lent.as_mut_ptr().write_bytes(0x5a, lent.len()) };
        let words = Box::into_raw(Box::<[MetadataWord]>::new_uninit_slice(region_words(pages as usize)));
        // SAFETY: as the memory.
        let lent_words = unsafe { &mut *words };
        Self {
            // SAFETY: saying nothing is always right.
            region: unsafe { Region::new(lent, lent_words, Nameless) },
            memory,
            words,
            recorded: Mutex::default(),
            traffic: Mutex::default(),
            limit: AtomicU32::new(u32::MAX),
            moments: Moments::default(),
        }
    }

    /// Hands out no more pages than this, from now on.
    pub(super) fn limit(&self, pages: u32) {
        self.limit.store(pages, SeqCst);
    }

    pub(super) fn word(&self, at: ArenaPtr) -> *mut u64 {
        assert_eq!(at.offset() % 8, 0);
        self.region.base().wrapping_add(at.offset() as usize).cast()
    }

    pub(super) fn take_traffic(&self) -> Vec<Traffic> {
        std::mem::take(&mut self.traffic.lock().unwrap())
    }

    fn note(&self, traffic: impl Fn(u32, u32) -> Traffic, pages: PageRange) {
        self.traffic.lock().unwrap().push(traffic(pages.first().number(), pages.count().get()));
    }
}

// SAFETY: the memory is the region's, which may be sent and shared, and freed by the one who drops it.
unsafe impl Send for Land {}
// SAFETY: as above.
unsafe impl Sync for Land {}

impl Drop for Land {
    fn drop(&mut self) {
        // SAFETY: from `Box::into_raw` in `with_pages`; pools borrow the land, so nobody uses the region any more.
        drop(unsafe { Box::from_raw(self.memory) });
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(self.words) });
    }
}

/// The land, lent to a pool.
#[derive(Clone, Copy)]
pub(super) struct Lent<'a>(pub(super) &'a Land);

// SAFETY: the region's contract is kept; what is added only counts.
unsafe impl PageSource for Lent<'_> {
    type Cpus = Nameless;
    const ZEROED: bool = false;

    fn cpus(&self) -> &Nameless {
        self.0.region.cpus()
    }
    fn base(&self) -> *mut u8 {
        self.0.region.base()
    }
    fn extent(&self) -> PageRange {
        self.0.region.extent()
    }
    fn sharing(&self) -> Sharing {
        self.0.region.sharing()
    }
    fn alloc_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        self.0.moments.pass();
        if self.0.region.taken_pages().saturating_add(count.get()) > self.0.limit.load(SeqCst) {
            return Err(AllocError::OutOfFrames);
        }
        let pages = self.0.region.alloc_pages(count, align)?;
        self.0.note(Traffic::Out, pages);
        self.0.moments.pass();
        Ok(pages)
    }
    unsafe fn free_pages(&self, pages: PageRange) {
        self.0.moments.pass();
        self.0.note(Traffic::Back, pages);
        // SAFETY: as the caller promises.
        unsafe { self.0.region.free_pages(pages) }
        self.0.moments.pass();
    }
    fn record_misuse(&self, at: Option<ArenaPtr>, misuse: Misuse) {
        self.0.recorded.lock().unwrap().push((at.expect("not null"), misuse));
    }
}
