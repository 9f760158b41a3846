//! Memory above the largest class, or aligned to more than a page: runs of whole pages, straight from the source.

use core::alloc::Layout;

use super::HeapError;
use crate::addr::{PAGE_BYTES, PAGE_SHIFT, PageCount, PageRange};
use crate::arena::AllocError;
use crate::misuse::Misuse;
use crate::slab::{LARGEST, Slab};
use crate::source::{MetadataSource, PageSource};

/// Whether a layout is served by pages.
#[inline]
pub(super) fn is_run(layout: Layout) -> bool {
    layout.size() > LARGEST || layout.align() > PAGE_BYTES
}

/// How many pages a size takes.
pub(super) fn pages_of(size: usize) -> Option<PageCount> {
    PageCount::new(u32::try_from(size.div_ceil(PAGE_BYTES)).ok()?)
}

pub(super) fn alloc<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, layout: Layout) -> Result<*mut u8, HeapError> {
    alloc_by(slab, layout, S::alloc_pages)
}

/// The same, filled with zeros.
pub(super) fn alloc_zeroed<S: PageSource, M: MetadataSource>(
    slab: &Slab<S, M>,
    layout: Layout,
) -> Result<*mut u8, HeapError> {
    alloc_by(slab, layout, S::alloc_zeroed_pages)
}

fn alloc_by<S: PageSource, M: MetadataSource>(
    slab: &Slab<S, M>,
    layout: Layout,
    take: impl Fn(&S, PageCount, PageCount) -> Result<PageRange, AllocError>,
) -> Result<*mut u8, HeapError> {
    let count = pages_of(layout.size()).ok_or(HeapError::TooLarge)?;
    let align = pages_of(layout.align()).ok_or(HeapError::TooLarge)?;
    let take = || take(slab.source(), count, align);
    // What depots and empty slabs keep may be what is missing.
    let pages = take().or_else(|error| match error {
        AllocError::NoSpace(_) | AllocError::Busy(_) | AllocError::OutOfFrames => {
            slab.give_way_here(|| take().ok()).ok_or(error)
        }
        hopeless => Err(hopeless),
    });
    let pages = pages.map_err(HeapError::Pages)?;
    slab.count_run(count);
    Ok(slab.to_kernel(pages.to_ptr()))
}

/// Gives a run back.
///
/// # Safety
/// It came from [`alloc`] on the same allocator with this layout, and nobody uses it.
pub(super) unsafe fn free<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, block: *mut u8, layout: Layout) {
    let Some(pages) = range_of(slab, block, layout.size()) else { return };
    if !slab.count_run_gone(pages.count()) {
        // So many are not out: this run was freed before, or is none.
        return slab.refuse(pages.to_ptr(), Misuse::NotLive);
    }
    // SAFETY: the caller's pages, taken together, in nobody's use.
    unsafe { slab.source().free_pages(pages) };
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
    let (Some(pages), Some(wanted)) = (range_of(slab, block, layout.size()), pages_of(size)) else { return false };
    let (have, wanted) = (pages.count().get(), wanted.get());
    if wanted > have {
        let more = PageCount::saturating(wanted - have);
        let grown = slab.source().extend(pages, more);
        if grown {
            slab.count_run(more);
        }
        return grown;
    }
    if wanted < have {
        let tail = PageRange::of(pages.first().number() + wanted, have - wanted);
        if !slab.count_run_gone(tail.count()) {
            return false;
        }
        // SAFETY: pages of the caller's run that nobody uses any more; a source takes them back one by one, too.
        unsafe { slab.source().free_pages(tail) };
    }
    true
}

/// The pages of a run.
fn range_of<S: PageSource, M: MetadataSource>(slab: &Slab<S, M>, block: *mut u8, size: usize) -> Option<PageRange> {
    let offset = block.addr().wrapping_sub(slab.source().base().addr());
    let first = crate::PageIndex::new(u32::try_from(offset >> PAGE_SHIFT).ok()?)?;
    PageRange::new(first, pages_of(size)?)
}
