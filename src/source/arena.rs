//! The arena as a source: its pages for objects, its platform's frames for bookkeeping.

use core::ptr::NonNull;

use super::{Frees, MetadataPage, MetadataSource, PageSource};
use crate::addr::{ArenaPtr, PageCount, PageRange};
use crate::arch::{Arch, Native};
use crate::arena::{AllocError, AllocRequest, Arena, Context};
use crate::layout::Sharing;
use crate::misuse::Misuse;
use crate::platform::{FrameSource, PhysMap, Platform, ReversibleMap};
use crate::slot::Owner;
use crate::violations::ViolationKind;

/// The pages of an arena, owned by the allocator that takes them (I7): what a program or the kernel frees is never theirs.
///
/// On a shared arena safe code can still take them away, by saying that it is the allocator who frees
/// ([`Arena::free_pages`]). What was in them is lost then, and whoever goes on using them finds another's page of the window there,
/// or the scratch page. On a private arena that is refused.
///
/// Pages are freed deferred, so that objects may be freed in any context; they come back by
/// [`reclaim`](PageSource::reclaim), which the kernel's housekeeping calls through the allocator.
///
/// # Examples
/// Objects for programs on a shared arena (`MyKernel` is the platform at [`Platform`]):
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
/// use core::alloc::Layout;
/// use kernel_arena::slab::{Mode, Slab};
/// use kernel_arena::source::{ArenaPages, FrameMetadata};
/// use kernel_arena::{Arena, ArenaPtr, Misuse};
/// # use kernel::{LAYOUT, MyKernel};
///
/// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
/// let arena: Arena<MyKernel> = Arena::new(MyKernel::boot(), LAYOUT, metadata).unwrap();
/// let slab = Slab::new(ArenaPages::new(&arena), FrameMetadata::new(arena.platform()), Mode::Fast).unwrap();
///
/// let object = slab.alloc_checked(Layout::new::<[u64; 6]>()).unwrap(); // the program gets this
/// assert_eq!(slab.free_checked(ArenaPtr::new(object.offset() + 8)), Err(Misuse::NotAtStart));
/// assert_eq!(slab.free_checked(Some(object)), Ok(()));
/// assert_eq!(slab.free_checked(Some(object)), Err(Misuse::NotLive)); // freed before
/// assert_eq!(arena.stats().violations, 2); // both are in the arena's record
///
/// slab.reclaim(); // in the kernel's housekeeping: pages of empty slabs are free again
/// # assert_eq!(slab.destroy().objects, 0);
/// ```
pub struct ArenaPages<'a, P: Platform, A: Arch = Native> {
    arena: &'a Arena<P, A>,
    context: Context,
}

impl<'a, P: Platform, A: Arch> ArenaPages<'a, P, A> {
    /// Pages of `arena`, taken in any context.
    pub const fn new(arena: &'a Arena<P, A>) -> Self {
        Self { arena, context: Context::Any }
    }

    /// The same for an allocator that is only used where a shootdown may be waited for: when no page is left, taking
    /// one heals and reclaims.
    #[must_use]
    pub const fn waiting(self) -> Self {
        Self { context: Context::MayWait, ..self }
    }

    /// The arena.
    pub const fn arena(&self) -> &'a Arena<P, A> {
        self.arena
    }
}

// Not derived: a derive would ask the same of `P` and `A`.
impl<P: Platform, A: Arch> Clone for ArenaPages<'_, P, A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<P: Platform, A: Arch> Copy for ArenaPages<'_, P, A> {}

// SAFETY: the arena hands out each page once, zeroed, mapped at its base plus the offset until it is freed; a deferred
// free keeps the translation until `reclaim`. Allocation in `Context::Any` and deferred free may be called anywhere;
// one that may wait was asked for by the kernel. A private arena has no view but the kernel's.
unsafe impl<P: Platform, A: Arch> PageSource for ArenaPages<'_, P, A> {
    type Cpus = P::Cpus;
    const ZEROED: bool = true;

    fn cpus(&self) -> &P::Cpus {
        self.arena.platform().cpus()
    }

    fn base(&self) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(self.arena.layout().base_address())
    }

    fn extent(&self) -> PageRange {
        self.arena.layout().extent()
    }

    fn sharing(&self) -> Sharing {
        self.arena.layout().sharing()
    }

    fn alloc_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        let request = AllocRequest::new(count, Owner::Allocator).aligned(align).in_context(self.context);
        match self.arena.alloc_pages(request) {
            Err(AllocError::NoSpace(_) | AllocError::Busy(_) | AllocError::OutOfFrames)
                if self.context == Context::MayWait =>
            {
                self.arena.reclaim();
                self.arena.alloc_pages(request)
            }
            done => done,
        }
    }

    fn extend(&self, pages: PageRange, by: PageCount) -> bool {
        let next = pages.first().number() + pages.count().get();
        let Some(next) = crate::PageIndex::new(next).and_then(crate::PageIndex::to_ptr) else { return false };
        let request = AllocRequest::new(by, Owner::Allocator).exactly_at(next).in_context(self.context);
        self.arena.alloc_pages(request).is_ok()
    }

    unsafe fn free_pages(&self, pages: PageRange) {
        // A caller that gives back what it does not have finds a violation in the record; there is nobody to tell.
        // SAFETY: the caller's pages, in nobody's use.
        let _ = unsafe { self.arena.free_allocator_pages(pages) };
    }

    /// Frees are deferred. One that may wait reclaims when it finds no page, so there they come back in time.
    fn frees(&self) -> Frees {
        match self.context {
            Context::MayWait => Frees::AtOnce,
            Context::Any => Frees::Deferred,
        }
    }

    fn record_misuse(&self, at: Option<ArenaPtr>, misuse: Misuse) {
        let layout = self.arena.layout();
        let address = at.map_or(layout.base(), |at| layout.to_kernel(at));
        self.arena.record_free(address, ViolationKind::Object(misuse));
    }

    fn reclaim(&self) {
        self.arena.reclaim();
    }
}

impl<P: Platform, A: Arch> core::fmt::Debug for ArenaPages<'_, P, A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ArenaPages").field("arena", self.arena).field("context", &self.context).finish()
    }
}

/// Bookkeeping pages from a platform's frame source, reached through its physical map.
#[derive(Debug)]
pub struct FrameMetadata<'a, P>(&'a P);

// Not derived: a derive would ask the same of `P`.
impl<P> Clone for FrameMetadata<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<P> Copy for FrameMetadata<'_, P> {}

impl<'a, P: Platform> FrameMetadata<'a, P>
where
    P::PhysMap: ReversibleMap,
{
    /// Pages of this platform's frames.
    pub const fn new(platform: &'a P) -> Self {
        Self(platform)
    }
}

// SAFETY: a frame belongs to whoever took it; the physical map is the kernel's alone, and lies in no window
// (`Platform`'s contract).
unsafe impl<P: Platform> MetadataSource for FrameMetadata<'_, P>
where
    P::PhysMap: ReversibleMap,
{
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        let frame = self.0.frames().alloc(None)?;
        Some(self.0.phys_map().frame_to_ptr(frame).cast())
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        let frame = self.0.phys_map().ptr_to_frame(page.cast());
        // SAFETY: the page is a frame of this source's, in nobody's use, as the caller promises.
        unsafe { self.0.frames().free(frame) }
    }
}
