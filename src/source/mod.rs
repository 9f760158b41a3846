//! Where allocators get their memory: pages for objects, and pages for what they write down about them.
//!
//! An allocator of this crate never writes a word of its own into the memory that it hands out, so it wants two things
//! lent: a [`PageSource`], whose pages hold objects and are named by 32-bit offsets, and a [`MetadataSource`], whose
//! pages the kernel alone sees. [`ArenaPages`] and [`FrameMetadata`] are an arena's; [`Region`] and `StaticMetadata`
//! stand on memory that the kernel has already, so the same allocators serve kernels without an arena.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::addr::{ArenaPtr, PAGE_BYTES, PageCount, PageRange};
use crate::arena::AllocError;
use crate::layout::Sharing;
use crate::misuse::Misuse;
use crate::platform::CpuIdentity;

mod arena;
mod region;
#[cfg(not(kernel_arena_loom))]
mod static_metadata;

pub use arena::{ArenaPages, FrameMetadata};
pub use region::{Region, region_words};
#[cfg(not(kernel_arena_loom))]
pub use static_metadata::StaticMetadata;

/// Bytes of a [`MetadataPage`]: 4096 (more under `cfg(kernel_arena_loom)`, whose atomics are larger).
pub const METADATA_PAGE_BYTES: usize = if cfg!(kernel_arena_loom) { 1 << 16 } else { 4096 };

/// A page of kernel memory for bookkeeping.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct MetadataPage(pub [MaybeUninit<u8>; METADATA_PAGE_BYTES]);

/// When pages that were given back to a source can be had again.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frees {
    /// With the next allocation.
    AtOnce,
    /// After [`PageSource::reclaim`].
    Deferred,
}

/// A source of pages for objects, all within 4 GiB of one base address.
///
/// # Safety
/// The implementor vouches that
/// - what [`alloc_pages`](Self::alloc_pages) and [`alloc_zeroed_pages`](Self::alloc_zeroed_pages) hand out has exactly as many
///   pages as were asked for, at least one; its first has the alignment; all lie in [`extent`](Self::extent), and are
///   memory that may be read and written at [`base`](Self::base) plus their offset until they are freed, or the source is
///   dropped; on a *shared* source others may free them, too, and an access reaches another's page then, or is recovered; they
///   hold zeros if [`ZEROED`](Self::ZEROED), or if they were asked for so;
/// - a page is handed out once until it is freed, by [`extend`](Self::extend), too, which says *yes* only if it has handed
///   out exactly the pages that follow;
/// - whatever numbers the callers of these three pass, they are answered: by an error where there is no such run;
/// - [`cpus`](Self::cpus) keeps the contract of [`CpuIdentity`];
/// - `base`, `extent` and `sharing` never change, the base is page-aligned, and no address in the extent is null;
/// - nothing but those who were given objects writes to them if [`sharing`](Self::sharing) says *private*;
/// - all functions but [`reclaim`](Self::reclaim) may be called wherever the allocator on top is called, at any moment,
///   also in the middle of one another; they do not call that allocator at the same interrupt level;
/// - none of its functions unwinds, nor those of its `CpuIdentity`: a global allocator must not, and what the caller has
///   in its hands would be lost;
/// - all that was done before a page was freed happens before all that is done after it was handed out again.
pub unsafe trait PageSource {
    /// How the running CPU is named, for what is kept by CPU.
    type Cpus: CpuIdentity;

    /// Whether pages come filled with zeros.
    const ZEROED: bool;

    /// The CPU identity.
    fn cpus(&self) -> &Self::Cpus;

    /// The address of offset 0.
    fn base(&self) -> *mut u8;

    /// The pages that may be handed out.
    fn extent(&self) -> PageRange;

    /// Whether anybody but the kernel may see them.
    fn sharing(&self) -> Sharing;

    /// Takes `count` consecutive pages, the first at an address that is a multiple of `align` pages, a power of two.
    ///
    /// # Errors
    /// [`AllocError`]; nothing was taken. That there are no pages (now) is [`NoSpace`](AllocError::NoSpace),
    /// [`Busy`](AllocError::Busy) or [`OutOfFrames`](AllocError::OutOfFrames): after these an allocator on top gives up what it
    /// keeps for speed and asks again; any other reason it takes for final.
    fn alloc_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError>;

    /// The same, filled with zeros. By itself it takes pages and fills them, unless they come so.
    ///
    /// # Errors
    /// As for [`alloc_pages`](Self::alloc_pages).
    fn alloc_zeroed_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        let pages = self.alloc_pages(count, align)?;
        if !Self::ZEROED {
            let start = self.base().wrapping_add(pages.to_ptr().offset() as usize);
            // SAFETY: the pages were just handed out, to nobody else.
            unsafe { start.write_bytes(0, pages.count().get() as usize * PAGE_BYTES) };
        }
        Ok(pages)
    }

    /// Takes the `by` pages that follow `pages` if they are free, and says whether it did: not if `by` is no page, nor
    /// if one of them is not in the extent. A source that cannot tell says no.
    fn extend(&self, pages: PageRange, by: PageCount) -> bool {
        let _ = (pages, by);
        false
    }

    /// Takes pages back, now or when [`reclaim`](Self::reclaim) is called.
    ///
    /// # Safety
    /// They came from this source, taken together or one by one, have not been given back since, and nobody uses them.
    unsafe fn free_pages(&self, pages: PageRange);

    /// When pages that were given back can be had again. An allocator on top that finds no page gives up what it keeps
    /// for speed only if that can help: if they come back at once, as they do unless the source says otherwise.
    fn frees(&self) -> Frees {
        Frees::AtOnce
    }

    /// Records that something was given back that was not the caller's to give.
    fn record_misuse(&self, at: Option<ArenaPtr>, misuse: Misuse) {
        let _ = (at, misuse);
    }

    /// Finishes what frees left to do. *May wait* for other CPUs.
    fn reclaim(&self) {}
}

/// What is wrong with a request for pages, whatever is free: every source says the same.
pub(crate) fn check_request(count: PageCount, align: PageCount) -> Result<(), AllocError> {
    if count == PageCount::ZERO {
        return Err(AllocError::ZeroPages);
    }
    if !align.get().is_power_of_two() {
        return Err(AllocError::BadAlignment);
    }
    Ok(())
}

/// A source of pages for bookkeeping.
///
/// # Safety
/// A page from [`alloc`](Self::alloc) is writable memory, aligned to 4096 bytes, that belongs to the caller alone until
/// [`free`](Self::free); no program can reach it, and it lies in no arena's window. Both may be called wherever the
/// allocator on top is, and neither unwinds. All that was done before a page was freed happens before all that is done
/// after it was handed out again. Pages stay where they are when the source is moved.
pub unsafe trait MetadataSource {
    /// Takes a page, of any content; `None` when there is none left.
    fn alloc(&self) -> Option<NonNull<MetadataPage>>;

    /// Takes a page back.
    ///
    /// # Safety
    /// The page came from this source, has not been given back since, and nobody uses it.
    unsafe fn free(&self, page: NonNull<MetadataPage>);
}

// SAFETY: a shared reference does what its target does.
unsafe impl<S: PageSource> PageSource for &S {
    type Cpus = S::Cpus;
    const ZEROED: bool = S::ZEROED;

    fn cpus(&self) -> &S::Cpus {
        S::cpus(self)
    }

    fn base(&self) -> *mut u8 {
        S::base(self)
    }

    fn extent(&self) -> PageRange {
        S::extent(self)
    }

    fn sharing(&self) -> Sharing {
        S::sharing(self)
    }

    fn alloc_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        S::alloc_pages(self, count, align)
    }

    fn alloc_zeroed_pages(&self, count: PageCount, align: PageCount) -> Result<PageRange, AllocError> {
        S::alloc_zeroed_pages(self, count, align)
    }

    fn extend(&self, pages: PageRange, by: PageCount) -> bool {
        S::extend(self, pages, by)
    }

    unsafe fn free_pages(&self, pages: PageRange) {
        // SAFETY: as the caller promises.
        unsafe { S::free_pages(self, pages) };
    }

    fn frees(&self) -> Frees {
        S::frees(self)
    }

    fn record_misuse(&self, at: Option<ArenaPtr>, misuse: Misuse) {
        S::record_misuse(self, at, misuse);
    }

    fn reclaim(&self) {
        S::reclaim(self);
    }
}

// SAFETY: a shared reference does what its target does.
unsafe impl<M: MetadataSource> MetadataSource for &M {
    fn alloc(&self) -> Option<NonNull<MetadataPage>> {
        M::alloc(self)
    }

    unsafe fn free(&self, page: NonNull<MetadataPage>) {
        // SAFETY: as the caller promises.
        unsafe { M::free(self, page) }
    }
}
