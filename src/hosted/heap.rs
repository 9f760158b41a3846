//! A heap that a program can use as it stands: `#[global_allocator] static HEAP: HostHeap = HostHeap::new();`.
//!
//! The window is mapped when the first object is asked for. Threads that come at that moment each map one; the first
//! that is published is the heap, and the other threads unmap theirs and use it. So nobody waits, and there is no state
//! in between that a thread could be stopped in.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::ManuallyDrop;
use core::{fmt, ptr};

use super::mapping::{MapError, Mapping};
use super::{HostMetadata, HostPages};
use crate::addr::{PageCount, WINDOW_PAGES};
use crate::heap::{Heap, HeapStats};
use crate::slab::{Mode, Slab};
use crate::sync::{AtomicPtr, Ordering};

/// The heap on the memory of a process.
type Inner = Heap<HostPages, HostMetadata>;
type HostSlab = Slab<HostPages, HostMetadata>;

/// A heap for a program of a host: a global allocator of at most 4 GiB, without a lock.
///
/// The first 2048 threads that run at a time have magazines of their own; others share the slabs. What a thread that
/// ended leaves in its magazines goes to the next that starts, or to whoever finds no memory elsewhere.
///
/// In a library it rules out that the library is unloaded while threads that used it run, and each time that it is
/// unloaded something stays: see [`hosted`](crate::hosted).
///
/// Not for signal handlers. A child made by `fork` has a copy, and goes on with it: there is no lock that another
/// thread could have held. What the other threads had in their magazines is the child's; what they had in their hands at
/// that moment is lost to it.
///
/// ```
/// use kernel_arena::hosted::HostHeap;
///
/// #[global_allocator]
/// static HEAP: HostHeap = HostHeap::new();
///
/// let words: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
/// assert_eq!(words[999], "999");
/// assert!(HEAP.stats().unwrap().live_bytes > 1000 * 24);
/// ```
pub struct HostHeap {
    /// Null until somebody has made the heap; then there until `self` is dropped.
    made: AtomicPtr<Made>,
    /// A part of the same, which the fast paths use; set a moment later.
    slab: AtomicPtr<HostSlab>,
    pages: PageCount,
    mode: Mode,
}

/// The heap, and the mapping that it lies in itself.
struct Made {
    /// Not dropped: it would tidy up, object by object, what goes as a whole.
    heap: ManuallyDrop<Inner>,
    memory: Mapping,
}

/// Where the host has no room even for the bookkeeping of the window asked for, a smaller one serves, down to this many
/// pages.
const LEAST_PAGES: u32 = 1 << 8;

impl HostHeap {
    /// A heap of up to 4 GiB, or as much address space as the host has for it. Nothing is mapped yet.
    pub const fn new() -> Self {
        Self::with_pages(PageCount::saturating(WINDOW_PAGES - 1))
    }

    /// A heap of at most so many pages: at least 1 and at most 2^20 - 1, whatever is asked for.
    pub const fn with_pages(pages: PageCount) -> Self {
        let pages = match pages.get() {
            0 => PageCount::ONE,
            WINDOW_PAGES => PageCount::saturating(WINDOW_PAGES - 1),
            _ => pages,
        };
        Self { made: AtomicPtr::new(ptr::null_mut()), slab: AtomicPtr::new(ptr::null_mut()), pages, mode: Mode::Fast }
    }

    /// The same in another mode: with [`Mode::Debug`], mistakes in the use of memory are found and counted.
    #[must_use]
    pub const fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The heap, made now if it is not there yet.
    ///
    /// # Errors
    /// [`MapError`]: the host has no memory for it; it may have some later.
    #[inline]
    pub fn get(&self) -> Result<&Heap<HostPages, HostMetadata>, MapError> {
        match self.made() {
            Some(heap) => Ok(heap),
            None => self.make(),
        }
    }

    /// Figures: what was handed out by this heap, and what it holds. `None` before its first use.
    pub fn stats(&self) -> Option<HeapStats> {
        self.made()?.stats()
    }

    fn made(&self) -> Option<&Inner> {
        // Acquire: made before it was published.
        // SAFETY: what is published is valid until `self` is dropped.
        let made = unsafe { self.made.load(Ordering::Acquire).as_ref()? };
        Some(&made.heap)
    }

    /// The slab, if it is there.
    #[inline]
    fn fast(&self) -> Option<&HostSlab> {
        // SAFETY: a part of what is published, valid until `self` is dropped. Acquire: as for that.
        unsafe { self.slab.load(Ordering::Acquire).as_ref() }
    }

    #[cold]
    #[inline(never)]
    fn make(&self) -> Result<&Inner, MapError> {
        let mine = Made::new(self.pages, self.mode)?;
        // Release: see `made`. Whoever was slower uses what the other published.
        match self.made.compare_exchange(ptr::null_mut(), mine, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {}
            // SAFETY: made above, shown to nobody.
            Err(_) => unsafe { Made::unmake(mine) },
        }
        let heap = self.made().ok_or(MapError::BadSize)?;
        if let Some(slab) = heap.slab() {
            self.slab.store(ptr::from_ref(slab).cast_mut(), Ordering::Release);
        }
        Ok(heap)
    }

    /// An allocation that finds nothing in the magazine at hand; the first makes the heap, if the host has memory for
    /// it. The heap is its last argument, so that a fast path has nothing to move before it jumps here.
    #[cold]
    #[inline(never)]
    fn alloc_slow(layout: Layout, heap: &Self) -> *mut u8 {
        match heap.made() {
            Some(heap) => Inner::alloc_slow(layout, heap),
            None => Self::alloc_first(layout, heap),
        }
    }

    #[cold]
    #[inline(never)]
    fn alloc_first(layout: Layout, heap: &Self) -> *mut u8 {
        heap.make().map_or(ptr::null_mut(), |heap| Inner::alloc_slow(layout, heap))
    }

    /// A free that finds no room in the magazine at hand.
    #[cold]
    #[inline(never)]
    fn dealloc_slow(block: *mut u8, layout: Layout, heap: &Self) {
        if let Some(heap) = heap.made() {
            Inner::dealloc_slow(block, layout, heap);
        }
    }
}

impl Made {
    /// Maps everything, and gives the one pointer to it. The heap is made where it lies.
    fn new(pages: PageCount, mode: Mode) -> Result<*mut Self, MapError> {
        let memory = Mapping::new(size_of::<Self>())?;
        let place = memory.start().cast::<Self>().as_ptr();
        // SAFETY: the mapping is large enough and aligned, and ours.
        unsafe { place.write(Self { heap: ManuallyDrop::new(Inner::new()), memory }) };
        // SAFETY: written above, and nobody else's yet.
        match unsafe { &*place }.fill(pages, mode) {
            Ok(()) => Ok(place),
            Err(error) => {
                // SAFETY: made above, shown to nobody.
                unsafe { Self::unmake(place) };
                Err(error)
            }
        }
    }

    /// Gives the heap what it stands on: the largest sources that the host has room for.
    #[inline(never)]
    fn fill(&self, pages: PageCount, mode: Mode) -> Result<(), MapError> {
        let mut count = pages.get();
        loop {
            match self.fill_with(PageCount::saturating(count), mode) {
                Err(MapError::Refused { .. }) if count / 2 >= LEAST_PAGES => count /= 2,
                done => return done,
            }
        }
    }

    #[inline(never)]
    fn fill_with(&self, pages: PageCount, mode: Mode) -> Result<(), MapError> {
        // Bookkeeping takes a hundredth, and more only where every thread keeps magazines of every class.
        let metadata = HostMetadata::reserve(PageCount::saturating(pages.get() / 8 + 4096))?;
        let pages = HostPages::reserve(pages)?;
        self.heap.init(pages, metadata, mode).map_err(|_| MapError::BadSize)
    }

    /// # Safety
    /// It came from [`new`](Self::new), and nobody uses it.
    unsafe fn unmake(made: *mut Self) {
        // SAFETY: as the caller promises.
        let heap = unsafe { &(*made).heap };
        if let Some(slab) = heap.slab() {
            // SAFETY: the heap is never dropped, and nobody uses the pages again.
            unsafe { slab.source().unmap() };
            // SAFETY: as above.
            unsafe { slab.metadata().unmap() };
        }
        // SAFETY: as the caller promises.
        let memory = unsafe { &raw const (*made).memory };
        // Moved out: it lies in the memory that goes, and no reference into that may be alive while it is unmapped.
        // SAFETY: read once, and never dropped where it lies.
        drop(unsafe { memory.read() });
    }
}

impl Drop for HostHeap {
    fn drop(&mut self) {
        let made = *self.made.get_mut();
        if !made.is_null() {
            // SAFETY: published by `make`, and nobody else has the heap any more.
            unsafe { Made::unmake(made) }
        }
    }
}

impl Default for HostHeap {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HostHeap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostHeap").field("pages", &self.pages).field("mode", &self.mode).finish_non_exhaustive()
    }
}

// SAFETY: the heap's promises, which stays where it is once it was published. What the fast paths do is a part of it.
unsafe impl GlobalAlloc for HostHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(slab) = self.fast() {
            if let Some(object) = slab.pop(layout) {
                return slab.address_of(object);
            }
        }
        Self::alloc_slow(layout, self)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let done = self.fast().is_some_and(|slab| slab.push(slab.offset_of(block), layout));
        if !done {
            Self::dealloc_slow(block, layout, self);
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        self.get().map_or(ptr::null_mut(), |heap| unsafe { heap.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        match self.made() {
            // SAFETY: as the caller promises.
            Some(heap) => unsafe { heap.realloc(block, layout, new_size) },
            None => ptr::null_mut(),
        }
    }
}
