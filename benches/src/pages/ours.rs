//! The library, in a process: tables that nobody walks, threads in place of CPUs.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_arena::kit::{FrameFns, Parts};
use kernel_arena::platform::{
    CpuCount, CpuId, CpuIdentity, CpuLevel, EntryAttributes, FixedOffset, FlushScope, Shootdown, UpperSlots,
};
use kernel_arena::{
    AddressRange, AddressWidth, AllocRequest, Arena, ArenaLayout, Context, KernelAddr, Owner, PageCount, PageIndex,
    WINDOW_SIZE,
};

use super::{Pages, frames};

/// What the process lends.
pub(crate) type Kernel = Parts<FrameFns, FixedOffset, NoTlb, Threads, Words>;

/// There is none behind these tables.
pub(crate) struct NoTlb;

impl Shootdown for NoTlb {
    fn shootdown(&self, _ranges: &[AddressRange], _scope: FlushScope) {}
}

/// Each thread is a CPU of its own: nothing comes between its instructions that uses an arena.
pub(crate) struct Threads;

/// The main thread, and the one beside it of a case that has two: never more at once.
const CPUS: u32 = 2;

thread_local! {
    static CPU: Cell<Option<u16>> = const { Cell::new(None) };
}

/// The thread's number: 0 for the main thread, which makes the arenas and so asks first. (Else a thread that comes and goes might
/// have it, and whoever works at once with the main thread later on be the same CPU.)
#[inline]
fn own_number() -> u16 {
    static MAIN: AtomicBool = AtomicBool::new(true);
    CPU.get().unwrap_or_else(|| {
        let number = u16::from(!MAIN.swap(false, Ordering::Relaxed));
        CPU.set(Some(number));
        number
    })
}

impl CpuIdentity for Threads {
    #[inline]
    fn current(&self) -> Option<CpuLevel> {
        Some(CpuLevel { cpu: CpuId::new(own_number()), level: 0 })
    }

    fn count(&self) -> CpuCount {
        CpuCount::new(CPUS).expect("a few")
    }
}

/// Lent entries that no processor walks.
pub(crate) struct Words([AtomicU64; 5], KernelAddr);

impl UpperSlots for Words {
    fn window_base(&self) -> KernelAddr {
        self.1
    }
    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        let [first, second, third, fourth, _] = self.0.each_ref();
        [first, second, third, fourth]
    }
    unsafe fn guard_entry(&self) -> &AtomicU64 {
        &self.0[4]
    }
}

/// Whether an arena is being made, whose frames are for tables.
static IS_BUILDING: AtomicBool = AtomicBool::new(false);

fn frame() -> Option<u64> {
    Some(if IS_BUILDING.load(Ordering::Relaxed) { frames::for_table() } else { frames::for_page() })
}

/// An arena that frees at once.
pub(crate) struct AtOnce(&'static Arena<Kernel>);

impl AtOnce {
    pub(super) fn new(pages: u32) -> Self {
        Self::at(0, pages)
    }

    /// The window of this number, so that several can be in one registry.
    pub(super) fn at(number: usize, pages: u32) -> Self {
        assert_eq!(own_number(), 0, "the main thread makes them");
        let base = KernelAddr::new(0xffff_9000_0000_0000 + 2 * WINDOW_SIZE * number as u64);
        let (first, count) = (PageIndex::new(1).expect("a page"), PageCount::new(pages).expect("fits"));
        let layout = ArenaLayout::new(base, AddressWidth::BITS_48, first, count).expect("a good layout");
        // SAFETY: the process's memory, each page at its own address.
        let map = unsafe { FixedOffset::new(0, EntryAttributes::default()) };
        let words = Words([const { AtomicU64::new(0) }; 5], base);
        // SAFETY: nothing is walked, and no page is reached by way of the window; a thread's number is its own.
        let platform = unsafe { Parts::new(FrameFns::new(frame, |_| {}), map, NoTlb, Threads, words) };
        let metadata = Box::leak(Box::new_uninit_slice(layout.with_cpus(Threads.count()).metadata_words()));
        IS_BUILDING.store(true, Ordering::Relaxed);
        let arena = Arena::new(platform, layout.with_cpus(Threads.count()), metadata).expect("there is memory");
        IS_BUILDING.store(false, Ordering::Relaxed);
        Self(Box::leak(Box::new(arena)))
    }

    pub(super) fn arena(&self) -> &'static Arena<Kernel> {
        self.0
    }

    /// Sets a page aside; whether it was free.
    #[inline]
    pub(super) fn reserve_page(&self, page: u32) -> bool {
        let at = PageIndex::new(page).and_then(PageIndex::to_ptr).expect("a page");
        self.0.reserve_pages(at, PageCount::ONE, Owner::Kernel).is_ok()
    }
}

#[inline]
fn taken(arena: &Arena<Kernel>, pages: u32, context: Context) -> Option<u32> {
    let request = AllocRequest::new(PageCount::new(pages)?, Owner::Kernel).in_context(context);
    arena.alloc_pages(request).ok().map(|range| range.first().number())
}

impl Pages for AtOnce {
    #[inline]
    fn alloc(&self, pages: u32) -> Option<u32> {
        taken(self.0, pages, Context::MayWait)
    }

    #[inline]
    fn free(&self, first: u32, pages: u32) {
        let at = PageIndex::new(first).and_then(PageIndex::to_ptr).expect("a page");
        self.0.free_pages(at, PageCount::new(pages).expect("a run"), Owner::Kernel).expect("it was taken");
    }

    fn is_mapped(&self, page: u32) -> bool {
        PageIndex::new(page).and_then(|page| self.0.page_state(page)).is_some_and(|state| state.is_present())
    }
}

/// An arena of which pages are taken in any context and given back to be freed later, as interrupt handlers do, with the
/// housekeeping that this makes necessary.
pub(crate) struct Deferred {
    pages: AtOnce,
    freed: AtomicU64,
}

/// How many frees there are from one `reclaim` to the next.
const BETWEEN: u64 = 1024;

impl Deferred {
    pub(super) fn new(pages: u32) -> Self {
        Self { pages: AtOnce::new(pages), freed: AtomicU64::new(0) }
    }
}

impl Pages for Deferred {
    #[inline]
    fn alloc(&self, pages: u32) -> Option<u32> {
        taken(self.pages.0, pages, Context::Any)
    }

    #[inline]
    fn free(&self, first: u32, pages: u32) {
        let at = PageIndex::new(first).and_then(PageIndex::to_ptr).expect("a page");
        let count = PageCount::new(pages).expect("a run");
        self.pages.0.free_pages_deferred(at, count, Owner::Kernel).expect("it was taken");
        let freed = self.freed.load(Ordering::Relaxed) + 1;
        self.freed.store(freed, Ordering::Relaxed);
        if freed.is_multiple_of(BETWEEN) {
            self.pages.0.reclaim();
        }
    }

    fn is_mapped(&self, page: u32) -> bool {
        self.pages.is_mapped(page)
    }
}
