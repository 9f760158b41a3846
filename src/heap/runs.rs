//! Memory above the largest class, or aligned to more than a page: runs of whole pages, straight from the source.

use core::alloc::Layout;

use super::HeapError;
use crate::addr::{PAGE_BYTES, PAGE_SHIFT, PageCount, PageRange};
use crate::arena::AllocError;
use crate::slab::{Mode, Slab, largest_object};
use crate::source::{MetadataSource, PageSource};

/// Whether a layout is served by pages. In debug mode those sizes are, too, whose class has no room for a canary.
#[inline]
pub(super) fn is_run<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, layout: Layout) -> bool {
    layout.size() > largest_object(slab.mode()) || layout.align() > PAGE_BYTES
}

/// A run that is kept where this runs, if one fits: no source is asked.
#[inline(always)]
pub(super) fn take_kept<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, layout: Layout) -> Option<*mut u8> {
    let pages = slab.take_kept_run(slab.run_pages(layout.size())?, layout.align())?;
    Some(slab.to_kernel(pages.to_ptr()))
}

/// A run that is new, of any content.
pub(super) fn alloc<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, layout: Layout) -> Result<*mut u8, HeapError> {
    alloc_by(slab, layout, S::alloc_pages)
}

/// The same as `GlobalAlloc` says it.
#[cold]
#[inline(never)]
pub(super) fn alloc_or_null<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, layout: Layout) -> *mut u8 {
    alloc(slab, layout).unwrap_or(core::ptr::null_mut())
}

/// A run that is filled with zeros, kept before or new.
pub(super) fn alloc_zeroed<S: PageSource, M: MetadataSource>(
    slab: &Slab<S, M>,
    layout: Layout,
) -> Result<*mut u8, HeapError> {
    if let Some(start) = take_kept(slab, layout) {
        // It was used before.
        // SAFETY: a run that is ours alone, at least that long; the memory is private.
        unsafe { start.write_bytes(0, layout.size()) };
        return Ok(start);
    }
    alloc_by(slab, layout, S::alloc_zeroed_pages)
}

fn alloc_by<S: PageSource, M: MetadataSource>(
    slab: &Slab<S, M>,
    layout: Layout,
    take: impl Fn(&S, PageCount, PageCount) -> Result<PageRange, AllocError>,
) -> Result<*mut u8, HeapError> {
    let count = slab.run_pages(layout.size()).ok_or(HeapError::TooLarge)?;
    let align = u32::try_from(layout.align().div_ceil(PAGE_BYTES)).ok().and_then(PageCount::new);
    let align = align.ok_or(HeapError::TooLarge)?;
    let take = || take(slab.source(), count, align);
    // What depots and empty slabs keep may be what is missing.
    let pages = take().or_else(|error| match error {
        AllocError::NoSpace(_) | AllocError::Busy(_) | AllocError::OutOfFrames => {
            slab.give_way(|| take().ok()).ok_or(error)
        }
        hopeless => Err(hopeless),
    });
    let pages = pages.map_err(HeapError::Pages)?;
    if let Err(error) = slab.hold_run(pages, layout.size()) {
        // SAFETY: taken above, shown to nobody.
        unsafe { slab.source().free_pages(pages) };
        return Err(HeapError::Slab(error));
    }
    Ok(slab.to_kernel(pages.to_ptr()))
}

/// Gives a run back.
///
/// # Safety
/// It came from [`alloc`] on the same allocator with this layout, and nobody uses it. (In debug mode a mistake is found,
/// and does nothing.)
pub(super) unsafe fn free<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, block: *mut u8, layout: Layout) {
    // SAFETY: as the caller promises.
    unsafe { slab.free_run(slab.offset_of(block), layout.size()) };
}

/// Makes a run that starts at `block` larger or smaller where it is; says whether it is so now.
///
/// # Safety
/// As for [`free`]; when it shrinks, nobody uses what is cut off.
pub(super) unsafe fn resize<S: PageSource, M: MetadataSource>(
    slab: &Slab<S, M>,
    block: *mut u8,
    layout: Layout,
    size: usize,
) -> bool {
    // In debug mode the canary lies where the run ends.
    if slab.mode() == Mode::Debug {
        return false;
    }
    let (Some(pages), Some(wanted)) = (range_of(slab, block, layout.size()), slab.run_pages(size)) else {
        return false;
    };
    slab.resize_run(pages, wanted)
}

/// The pages of a run.
fn range_of<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, block: *mut u8, size: usize) -> Option<PageRange> {
    let first = crate::PageIndex::new(slab.offset_of(block) >> PAGE_SHIFT)?;
    PageRange::new(first, slab.run_pages(size)?)
}
