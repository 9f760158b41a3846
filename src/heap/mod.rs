//! The heap: a `GlobalAlloc` (and, with the feature `allocator-api2`, an `Allocator`) on private pages.
//!
//! Objects of up to 32 KiB come from a [`Slab`], larger ones are runs of pages. Rust forms references to what a
//! heap hands out, so it stands on sources whose memory nobody but the kernel ever sees (I10): a
//! [private](crate::ArenaLayout::private) arena, or memory that is the kernel's own. What is shared with programs comes
//! from a [`Slab`] or a [`Pool`](crate::pool::Pool) on a shared arena, which name it by [`ArenaPtr`](crate::ArenaPtr).
//!
//! A heap is made in a static, empty, and initialised when the kernel has the sources; before that every allocation
//! fails. An [`EarlyHeap`] has some memory of its own until then.
//!
//! ```
//! use kernel_arena::heap::Heap;
//! use kernel_arena::kit::Unnamed;
//! use kernel_arena::platform::CpuCount;
//! use kernel_arena::slab::Mode;
//! use kernel_arena::source::{Region, StaticMetadata, region_words};
//!
//! // In a kernel: #[global_allocator]
//! static HEAP: Heap<Region<Unnamed>, &StaticMetadata<64>> = Heap::new();
//! static METADATA: StaticMetadata<64> = StaticMetadata::new();
//!
//! let (memory, words) = (Box::leak(Box::new_uninit_slice(256)), Box::leak(Box::new_uninit_slice(region_words(256))));
//! // SAFETY: a CPU identity that says nothing is always right.
//! let region = unsafe { Region::new(memory, words, Unnamed::new(CpuCount::ONE)) };
//! HEAP.init(region, &METADATA, Mode::Fast).unwrap();
//! let layout = std::alloc::Layout::new::<[u8; 100_000]>();
//! let block = HEAP.try_alloc(layout).unwrap();
//! // SAFETY: it came from there, with that layout, and nobody uses it.
//! unsafe { HEAP.free(block, layout) };
//! assert_eq!(HEAP.stats().unwrap().live_bytes, 0);
//! ```
//!
//! # Contexts
//! Everything but [`reclaim`](Heap::reclaim) is for *any* context, interrupt handlers included, if the page source is;
//! see [`CpuIdentity`](crate::platform::CpuIdentity) for what the kernel promises about preemption.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use crate::once::Once;
use crate::slab::{Slab, SlabError};
use crate::source::{MetadataSource, PageSource};

#[cfg(feature = "allocator-api2")]
mod api2;
mod arena;
mod early;
mod error;
mod global;
mod init;
mod realloc;
mod runs;
mod stats;

pub use arena::ArenaHeap;
pub use early::{EarlyHeap, EarlyStats};
pub use error::{HeapError, InitError, InitRefused};
pub use stats::HeapStats;

/// A heap. See the [module](self) for one on memory that the kernel has already.
///
/// # Examples
/// On a private arena (`MyKernel` is the platform at [`Platform`](crate::Platform)):
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// use core::alloc::Layout;
/// use kernel_arena::Arena;
/// use kernel_arena::heap::ArenaHeap;
/// # use kernel::{LAYOUT, MyKernel};
///
/// // In a kernel: #[global_allocator]
/// static HEAP: ArenaHeap<MyKernel> = ArenaHeap::new();
///
/// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
/// // Once there are frames and page tables:
/// let arena: &'static Arena<MyKernel> =
///     Box::leak(Box::new(Arena::new(MyKernel::boot(), LAYOUT.private(), metadata).unwrap())); // a kernel has a static
/// HEAP.start(arena).unwrap();
///
/// // From here on `Box` and `Vec` work, on any CPU, in interrupt handlers too. By hand, with errors that have a reason:
/// let layout = Layout::new::<[u64; 6]>();
/// let object = HEAP.try_alloc(layout).unwrap();
/// // SAFETY: it came from there, with that layout, and nobody uses it.
/// unsafe { HEAP.free(object, layout) };
/// HEAP.reclaim(); // in the kernel's housekeeping
/// ```
pub struct Heap<S, M> {
    slab: Once<Slab<S, M>>,
}

impl<S: PageSource, M: MetadataSource> Heap<S, M> {
    /// A heap that has nothing yet.
    pub const fn new() -> Self {
        Self { slab: Once::new() }
    }

    /// Takes memory for this layout; typed errors where [`GlobalAlloc`](core::alloc::GlobalAlloc) says null.
    ///
    /// # Errors
    /// [`HeapError`]; nothing was taken but, perhaps, bookkeeping pages. Zero bytes are refused, whatever the alignment.
    pub fn try_alloc(&self, layout: Layout) -> Result<NonNull<u8>, HeapError> {
        let slab = self.slab.get().ok_or(HeapError::NotInitialised)?;
        if layout.size() == 0 {
            return Err(HeapError::Slab(SlabError::ZeroSize));
        }
        let address = if runs::is_run(slab, layout) {
            runs::take_kept(slab, layout).map_or_else(|| runs::alloc(slab, layout), Ok)?
        } else {
            slab.to_kernel(slab.alloc(layout).map_err(HeapError::Slab)?)
        };
        // A source's addresses are never null.
        NonNull::new(address).ok_or(HeapError::NotInitialised)
    }

    /// Gives memory back.
    ///
    /// # Safety
    /// It came from this heap with the same layout, was not given back since, and nobody uses it any more.
    pub unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { core::alloc::GlobalAlloc::dealloc(self, block.as_ptr(), layout) };
    }

    /// What serves objects of up to 32 KiB; `None` before the heap is initialised.
    pub fn slab(&self) -> Option<&Slab<S, M>> {
        self.slab.get()
    }

    /// Ends the heap and returns its slab allocator, to be [destroyed](Slab::destroy), which counts the runs of pages
    /// that are still out, but cannot give them back. A heap that is merely dropped leaves its memory, and its sources,
    /// as they are. `None` if it was never initialised.
    pub fn into_slab(self) -> Option<Slab<S, M>> {
        self.slab.into_inner()
    }

    /// Empties depots and this CPU's magazines and gives the pages of empty slabs back ([`Slab::drain`]). Returns how
    /// many slabs went; 0 before the heap is initialised. Context: *any*.
    pub fn drain(&self) -> u32 {
        self.slab.get().map_or(0, Slab::drain)
    }

    /// [`drain`](Self::drain), and then the source's own housekeeping: an arena's pages are free only after it. A
    /// kernel calls it when memory runs short, and now and then. Returns what `drain` does.
    ///
    /// Context: *may wait for a shootdown*.
    pub fn reclaim(&self) -> u32 {
        self.slab.get().map_or(0, Slab::reclaim)
    }
}

impl<S: PageSource, M: MetadataSource> Default for Heap<S, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, M> fmt::Debug for Heap<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").field("slab", &self.slab.get()).finish()
    }
}
