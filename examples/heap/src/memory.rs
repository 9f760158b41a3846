//! The kernel's heap: the library's, on a private arena.
//!
//! Until [`begin`] is called there is no heap at all, and nothing here allocates. On the way it tries what must be
//! refused and notes what came of it, for the checks to tell later.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use kernel_arena::heap::{Heap, HeapError, HeapStats, InitError};
use kernel_arena::platform::{CpuIdentity, Frame};
use kernel_arena::slab::{Mode, SlabError};
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::{Arena, ArenaLayout, MetadataWord, Owner, PAGE_SIZE, PageCount, PageIndex, PageRange, Platform};
use spin::Once;
use support::{ADDRESS_WIDTH, FrameStack, Machine, PHYSICAL_MAP, probe_read_u64, probe_write_u64};

use crate::fault::REGISTRY;
use crate::platform::HeapPlatform;

/// An arena of this kernel.
pub(crate) type KernelArena = Arena<HeapPlatform>;
/// Where its heaps and slabs have pages from.
pub(crate) type Pages<'a> = ArenaPages<'a, HeapPlatform>;
/// And where they write down what they know about them.
pub(crate) type Books<'a> = FrameMetadata<'a, HeapPlatform>;
/// The kernel's heap.
pub(crate) type KernelHeap = Heap<Pages<'static>, Books<'static>>;
/// Memory that is lent to an arena.
pub(crate) type Metadata = &'static mut [MaybeUninit<MetadataWord>];

/// The heap of all that this kernel allocates.
#[global_allocator]
pub(crate) static HEAP: KernelHeap = Heap::new();

static ARENA: Once<KernelArena> = Once::new();

/// The first page of the arena: those before it are never there.
pub(crate) const FIRST_PAGE: u32 = 16;
/// Its pages, 20 MiB.
pub(crate) const PAGES: u32 = 5120;
/// Pages in the midst of them that are set aside, so that wild writes harm nobody there.
pub(crate) const HOLE: PageRange = {
    let (Some(first), Some(count)) = (PageIndex::new(1000), PageCount::new(32)) else { panic!("it is in the window") };
    let Some(hole) = PageRange::new(first, count) else { panic!("it is in the window") };
    hole
};

/// Words that the arena wants, and some.
const METADATA_WORDS: usize = 2048;

/// Metadata for the first arena: there is no heap yet that it could come from.
struct Loan {
    words: UnsafeCell<[MaybeUninit<MetadataWord>; METADATA_WORDS]>,
    is_lent: AtomicBool,
}

// SAFETY: the words are lent once.
unsafe impl Sync for Loan {}

static LOAN: Loan =
    Loan { words: UnsafeCell::new([const { MaybeUninit::uninit() }; METADATA_WORDS]), is_lent: AtomicBool::new(false) };

impl Loan {
    fn lend(&'static self) -> Option<Metadata> {
        if self.is_lent.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: nobody else has had them, nor will.
        Some(unsafe { &mut *self.words.get() })
    }
}

/// What was tried before there was a heap, and came out as it had to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Early {
    /// Without memory there is nothing but null and errors.
    pub(crate) nothing_before: bool,
    /// Memory that programs may see was refused.
    pub(crate) shared_refused: bool,
    /// So was an attempt without a frame for bookkeeping, and nothing was lost by it.
    pub(crate) poor_refused: bool,
    /// The heap was not there after those.
    pub(crate) nothing_after: bool,
    /// A second attempt was refused, and the heap worked on.
    pub(crate) twice_refused: bool,
    /// Frames that there were before all this.
    pub(crate) frames: usize,
}

/// The arena under the heap.
///
/// # Panics
/// Before [`begin`].
pub(crate) fn arena() -> &'static KernelArena {
    ARENA.get().expect("the kernel has begun")
}

/// The heap's figures.
pub(crate) fn stats() -> HeapStats {
    HEAP.stats().expect("the kernel has begun")
}

/// The layout of an arena with so many pages in the platform's window; programs may see it.
pub(crate) fn layout(platform: &HeapPlatform, pages: u32) -> Option<ArenaLayout> {
    let (first, pages) = (PageIndex::new(FIRST_PAGE)?, PageCount::new(pages)?);
    let layout = ArenaLayout::new(platform.window().base(), ADDRESS_WIDTH, first, pages).ok()?;
    Some(layout.with_cpus(platform.cpus().count()))
}

/// Gives the kernel its heap.
///
/// # Panics
/// If an arena cannot be made: there is nothing that a kernel without a heap could do.
pub(crate) fn begin(machine: &'static Machine) -> Early {
    let frames = machine.frames();
    let before = frames.free_count();
    let nothing_before = is_nothing();

    let platform = HeapPlatform::lend(machine).expect("no window is lent yet");
    let shared = layout(&platform, PAGES).expect("it fits the window");
    let metadata = LOAN.lend().expect("it is lent here alone");
    let arena = Arena::new(platform, shared, metadata).expect("there are frames and metadata");
    // SAFETY: what is refused is not used, and the arena stays until the end of the block.
    let forever: &'static KernelArena = unsafe { &*core::ptr::from_ref(&arena) };
    let (pages, books) = (ArenaPages::new(forever), FrameMetadata::new(forever.platform()));
    let answer = HEAP.init(pages, books, Mode::Fast);
    let shared_refused = answer.is_err_and(|refused| refused.error == InitError::SharedMemory);
    let back = arena.destroy().expect("no view is attached");

    let layout = shared.private();
    let arena = Arena::new(back.platform, layout, back.metadata).expect("as before");
    let arena = ARENA.call_once(|| arena);
    let hidden = Hidden::all_of(frames);
    let answer = HEAP.init(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Fast);
    let poor_refused = answer.is_err_and(|refused| refused.error == InitError::Slab(SlabError::OutOfMetadata))
        && frames.free_count() == 0;
    drop(hidden);
    let nothing_after = is_nothing();

    let answer = HEAP.init(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Fast);
    answer.expect("there is an arena for it");
    let held = frames.free_count();
    let answer = HEAP.init(ArenaPages::new(arena), FrameMetadata::new(arena.platform()), Mode::Fast);
    let refused = answer.is_err_and(|refused| refused.error == InitError::AlreadyInitialised);
    let twice_refused = refused && frames.free_count() == held && *alloc::boxed::Box::new(7) == 7;

    arena.reserve_pages(HOLE.to_ptr(), HOLE.count(), Owner::Kernel).expect("they are free");
    // SAFETY: the arena is a static's.
    let registration = unsafe { REGISTRY.register(arena) };
    // For ever: nothing takes it out.
    let _ = registration.expect("the registry is empty");
    Early { nothing_before, shared_refused, poor_refused, nothing_after, twice_refused, frames: before }
}

/// Whether the heap has nothing to give and nothing to tell.
fn is_nothing() -> bool {
    let layouts = [Layout::new::<u8>(), Layout::new::<[u64; 100]>(), Layout::new::<[u64; 10_000]>()];
    let is_null = |layout: Layout| {
        // SAFETY: the size is not zero.
        unsafe { HEAP.alloc(layout) }.is_null()
    };
    let is_refused = |layout: Layout| HEAP.try_alloc(layout) == Err(HeapError::NotInitialised);
    layouts.into_iter().all(|layout| is_null(layout) && is_refused(layout))
        && HEAP.stats().is_none()
        && HEAP.slab().is_none()
        && HEAP.reclaim() == 0
}

/// Frames that nobody else can have for a while: a chain through their first words.
pub(crate) struct Hidden {
    frames: &'static FrameStack,
    first: Option<Frame>,
}

impl Hidden {
    /// All that are there.
    pub(crate) fn all_of(frames: &'static FrameStack) -> Self {
        Self::all_but(frames, 0)
    }

    /// All but so many.
    pub(crate) fn all_but(frames: &'static FrameStack, rest: usize) -> Self {
        let mut hidden = Self { frames, first: None };
        while frames.free_count() > rest {
            let Some(frame) = frames.alloc() else { break };
            let next = hidden.first.map_or(0, Frame::address);
            // SAFETY: the frame is ours, and the map of physical memory has it.
            let is_written = unsafe { probe_write_u64(PHYSICAL_MAP + frame.address(), next) };
            assert!(is_written, "the map has all frames");
            hidden.first = Some(frame);
        }
        hidden
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        while let Some(frame) = self.first {
            // SAFETY: the frame is ours, and the map of physical memory has it.
            let next = unsafe { probe_read_u64(PHYSICAL_MAP + frame.address()) }.unwrap_or(0);
            self.first = if next == 0 { None } else { Frame::new(next) };
            self.frames.free(frame);
        }
    }
}

/// Pages that so many bytes are.
pub(crate) const fn pages_in(bytes: u64) -> u64 {
    bytes / PAGE_SIZE
}
