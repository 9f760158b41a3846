//! What the cases stand on: a kernel's parts that cost next to nothing, and a fresh arena for each.

use alloc::boxed::Box;
use core::cell::RefCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

#[cfg(target_arch = "aarch64")]
use kernel_arena::arch::aarch64::BroadcastShootdown as LocalShootdown;
#[cfg(target_arch = "x86_64")]
use kernel_arena::arch::x86_64::tlb::LocalShootdown;
use kernel_arena::kit::{self, Parts};
use kernel_arena::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel, EntryAttributes, FixedOffset, UpperSlots};
use kernel_arena::{
    AllocRequest, Arena, ArenaLayout, KernelAddr, MetadataWord, Owner, PageCount, PageIndex, PageRange, WINDOW_PAGES,
    WINDOW_SIZE,
};
use support::check::{Failure, equal};
use support::{
    ADDRESS_WIDTH, ARCHITECTURE, FrameStack, KernelPlatform, LEAF_ATTRIBUTES, Machine, PHYSICAL_MAP, Window,
    set_fault_handler,
};

use crate::cases::Case;
use crate::fault;

/// A flush of this CPU.
type Flush = LocalShootdown;
/// All that this kernel lends.
pub(crate) type Platform = Parts<&'static FrameStack, FixedOffset, Flush, Cpu, Upper>;
/// Its arenas.
pub(crate) type KernelArena = Arena<Platform>;

/// The name of the one CPU. It costs a load, so that what is counted is the library's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu;

/// How many handlers run.
pub(crate) static LEVEL: AtomicU8 = AtomicU8::new(0);

impl CpuIdentity for Cpu {
    #[inline]
    fn current(&self) -> Option<CpuLevel> {
        Some(CpuLevel { cpu: CpuId::new(0), level: LEVEL.load(Ordering::Relaxed) })
    }

    #[inline]
    fn cpu(&self) -> Option<CpuId> {
        Some(CpuId::new(0))
    }

    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

/// Where an arena's tables hang.
#[derive(Debug)]
pub(crate) enum Upper {
    /// In the kernel's.
    Lent(&'static Window),
    /// Of an arena that is only there to be passed over: linked below the root.
    Linked(Box<kit::Window>),
}

impl Upper {
    /// Where others may be, each with room for its guards: addresses of the upper half for which the kernel's root has nothing,
    /// not even a guard. On aarch64 that is the rest of its 39 bits, beside the eight windows of which the arena that is used
    /// has the first, so that there are 55.
    pub(crate) fn others(own: u64) -> impl Iterator<Item = u64> {
        const STEP: u64 = 2 * WINDOW_SIZE;
        let start = if ARCHITECTURE == "x86_64" { 0xffff_a000_0000_0000 } else { PHYSICAL_MAP };
        (1..64).map(move |number| start + number * STEP).filter(move |base| base.wrapping_sub(own) >= 8 * STEP)
    }
}

impl UpperSlots for Upper {
    fn window_base(&self) -> KernelAddr {
        match self {
            Self::Lent(window) => window.window_base(),
            Self::Linked(window) => window.window_base(),
        }
    }

    unsafe fn window_entries(&self) -> [&AtomicU64; 4] {
        match self {
            // SAFETY: as the caller promises.
            Self::Lent(window) => unsafe { window.window_entries() },
            // SAFETY: as above.
            Self::Linked(window) => unsafe { window.window_entries() },
        }
    }

    unsafe fn guard_entry(&self) -> &AtomicU64 {
        match self {
            // SAFETY: as the caller promises.
            Self::Lent(window) => unsafe { window.guard_entry() },
            // SAFETY: as above.
            Self::Linked(window) => unsafe { window.guard_entry() },
        }
    }

    fn vacant_word(&self) -> u64 {
        match self {
            Self::Lent(window) => window.vacant_word(),
            Self::Linked(window) => window.vacant_word(),
        }
    }
}

type Metadata = &'static mut [MaybeUninit<MetadataWord>];

/// What all cases share.
pub(crate) struct Ground {
    machine: &'static Machine,
    lender: &'static KernelPlatform,
    metadata: RefCell<Option<Metadata>>,
}

/// What a case has.
pub(crate) struct Site<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) arena: &'a KernelArena,
    pub(crate) window: &'static Window,
}

/// How many pages a case's arena has: enough for most.
pub(crate) const SOME: u32 = 4095;
/// As many as there can be.
pub(crate) const WHOLE: u32 = WINDOW_PAGES - 1;

/// Who may see a case's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Shared,
    Private,
}

impl Ground {
    /// # Panics
    /// If no window is left, with which this kernel begins.
    pub(crate) fn new(machine: &'static Machine) -> Self {
        let lender = Box::leak(Box::new(machine.platform().expect("no window is lent yet")));
        Self { machine, lender, metadata: RefCell::new(None) }
    }

    /// Runs a case on a fresh arena; nothing may stay behind.
    pub(crate) fn run(&self, case: &Case) -> Result<u64, Failure> {
        let frames = self.machine.frames().free_count();
        let layout = self.layout(self.lender.window().base(), case.pages)?;
        let layout = if case.sight == Sight::Private { layout.private() } else { layout };
        let words = match self.metadata.borrow_mut().take() {
            Some(words) => words,
            None => Box::leak(Box::new_uninit_slice(self.layout(layout.base(), WHOLE)?.metadata_words())),
        };
        let arena = Arena::new(self.platform(Upper::Lent(self.lender.window())), layout, words)?;
        let site = Site { ground: self, arena: &arena, window: self.lender.window() };
        set_fault_handler(fault::skip);
        let counted = (case.body)(&site);
        set_fault_handler(fault::skip);
        let valid = arena.validate();
        let back = arena.destroy().map_err(|_| Failure::new("the arena is not destroyed"))?;
        *self.metadata.borrow_mut() = Some(back.metadata);
        let counted = counted?;
        valid?;
        equal("frames after the case", self.machine.frames().free_count(), frames)?;
        Ok(counted)
    }

    /// An arena of few pages at an address that nobody touches.
    pub(crate) fn other(&self, base: KernelAddr) -> Result<KernelArena, Failure> {
        let layout = self.layout(base, 64)?;
        // SAFETY: nobody uses these addresses, nor edits the tables now; the map has all RAM.
        let window = unsafe { kit::Window::link(&layout, self.machine.frames(), &map()) }?;
        let metadata = Box::leak(Box::new_uninit_slice(layout.metadata_words()));
        Ok(Arena::new(self.platform(Upper::Linked(Box::new(window))), layout, metadata)?)
    }

    /// Its end.
    pub(crate) fn end(&self, arena: KernelArena) -> Result<(), Failure> {
        let back = arena.destroy().map_err(|_| Failure::new("an arena is not destroyed"))?;
        let (.., Upper::Linked(window)) = back.platform.into_parts() else { return Ok(()) };
        // SAFETY: as it was linked; the arena over it is gone.
        unsafe { window.unlink(self.machine.frames(), &map(), &Flush::default()) }
            .map_err(|_| Failure::new("a window is not unlinked"))
    }

    fn layout(&self, base: KernelAddr, pages: u32) -> Result<ArenaLayout, Failure> {
        let first = PageIndex::new(1).ok_or_else(|| Failure::new("there is a page 1"))?;
        Ok(ArenaLayout::new(base, ADDRESS_WIDTH, first, count(pages))?)
    }

    fn platform(&self, upper: Upper) -> Platform {
        // SAFETY: the frames are the kernel's own; there is one CPU, and all that runs under its name in the midst of other
        // code are the handlers of `fault`, which set another level; each window is one arena's at a time.
        unsafe { Parts::new(self.machine.frames(), map(), Flush::default(), Cpu, upper) }
    }
}

impl Site<'_> {
    /// Allocates pages for the kernel, anywhere.
    pub(crate) fn alloc(&self, pages: u32) -> Result<PageRange, Failure> {
        Ok(self.arena.alloc_pages(request(pages))?)
    }

    /// Frees pages of the kernel.
    pub(crate) fn free(&self, pages: PageRange) -> Result<(), Failure> {
        Ok(self.arena.free_pages(pages.to_ptr(), pages.count(), Owner::Kernel)?)
    }

    /// Where a page is.
    pub(crate) fn address(&self, page: u32) -> u64 {
        self.arena.layout().base().value() + (u64::from(page) << 12)
    }
}

/// All RAM, where the kernel has it.
pub(crate) fn map() -> FixedOffset {
    let attributes = EntryAttributes { leaf: LEAF_ATTRIBUTES, table: 0 };
    // SAFETY: the page tables map all RAM at this offset, with these attributes.
    unsafe { FixedOffset::new(PHYSICAL_MAP, attributes) }
}

/// So many pages.
///
/// # Panics
/// If a window has not as many.
pub(crate) fn count(pages: u32) -> PageCount {
    PageCount::new(pages).expect("no more pages than the window has")
}

/// So many pages for the kernel, anywhere.
pub(crate) fn request(pages: u32) -> AllocRequest {
    AllocRequest::new(count(pages), Owner::Kernel)
}
