//! Pages: allocated, freed, reserved, looked for in vain; and what is not the library's in that.

use kernel_arena::arch::{Arch, Native};
use kernel_arena::platform::{FlushScope, PhysMap, Shootdown};
use kernel_arena::{
    AddressRange, AllocRequest, Context, Owner, PAGE_SIZE, PageCount, PageIndex, PageRange, Platform, SlotState,
    VirtAddr,
};
use support::check::{Failure, equal, holds};
use support::{probe_read_u64, probe_write_u64};

use super::{Case, shared, whole};
use crate::site::{SOME, Site, WHOLE, count as pages, request};
use crate::steady::{count, steady};

pub(super) const CASES: &[Case] = &[
    shared("pages::alloc_1", |site| alloc(site, 1)),
    shared("pages::free_1", |site| free(site, 1)),
    shared("pages::alloc_16", |site| alloc(site, 16)),
    shared("pages::free_16", |site| free(site, 16)),
    shared("pages::alloc_1_in_any_context", alloc_in_any_context),
    shared("pages::free_1_deferred", free_deferred),
    shared("pages::reserve_1", reserve),
    shared("pages::free_1_reserved", free_reserved),
    shared("pages::reclaim_idle_of_4095", reclaim_idle),
    whole("pages::reclaim_idle_of_all", reclaim_idle),
    shared("pages::reclaim_1", reclaim_one),
    whole("pages::refused_in_any_context_all_reserved", |site| Ok(refused(site)?.0)),
    whole("pages::refused_in_any_context_all_reserved_again", |site| Ok(refused(site)?.1)),
    whole("pages::pair_with_all_others_taken", pair_with_all_others_taken),
    shared("pages::of_these_one_frame_from_the_kernel_and_back", frame),
    shared("pages::of_these_shootdown_of_one_page", shootdown),
    shared("pages::of_these_zeroing_of_one_page", zeroing),
];

/// The first word of pages is zero, may be written, and is read back.
fn use_pages(site: &Site<'_>, range: PageRange) -> Result<(), Failure> {
    for page in 0..range.count().get() {
        let at = site.address(range.first().number() + page);
        // SAFETY: nothing that Rust knows of is in the window.
        equal("a fresh word", unsafe { probe_read_u64(at + 8) }, Some(0))?;
        // SAFETY: as above.
        holds("it is written", unsafe { probe_write_u64(at + 8, at) })?;
        // SAFETY: as above.
        equal("what was written", unsafe { probe_read_u64(at + 8) }, Some(at))?;
    }
    Ok(())
}

/// The slot says that nothing is there.
fn is_gone(site: &Site<'_>, range: PageRange) -> Result<(), Failure> {
    let state = site.arena.page_state(range.first());
    holds("the page is gone", matches!(state, Some(SlotState::Vacant | SlotState::Vacated(_))))
}

/// Of a page that should be there: what is counted is how a caller asks whether it is, not what an error says.
fn no_page() -> Failure {
    Failure::new("there is a page")
}

fn alloc(site: &Site<'_>, number: u32) -> Result<u64, Failure> {
    steady(|_| {
        let (counted, range) = count(|| site.arena.alloc_pages(request(number)).ok());
        let range = range.ok_or_else(no_page)?;
        use_pages(site, range)?;
        site.free(range)?;
        Ok(counted)
    })
}

fn free(site: &Site<'_>, number: u32) -> Result<u64, Failure> {
    steady(|_| {
        let range = site.alloc(number)?;
        use_pages(site, range)?;
        let (counted, freed) = count(|| site.arena.free_pages(range.to_ptr(), range.count(), Owner::Kernel).is_ok());
        holds("it is freed", freed)?;
        is_gone(site, range)?;
        Ok(counted)
    })
}

fn alloc_in_any_context(site: &Site<'_>) -> Result<u64, Failure> {
    steady(|_| {
        let (counted, range) = count(|| site.arena.alloc_pages(request(1).in_context(Context::Any)).ok());
        let range = range.ok_or_else(no_page)?;
        use_pages(site, range)?;
        site.free(range)?;
        Ok(counted)
    })
}

fn free_deferred(site: &Site<'_>) -> Result<u64, Failure> {
    steady(|_| {
        let range = site.alloc(1)?;
        let (counted, freed) =
            count(|| site.arena.free_pages_deferred(range.to_ptr(), range.count(), Owner::Kernel).is_ok());
        holds("it is queued", freed)?;
        site.arena.reclaim();
        is_gone(site, range)?;
        Ok(counted)
    })
}

/// A page in the midst of the window.
fn some_page() -> Result<PageRange, Failure> {
    let first = PageIndex::new(SOME / 2).ok_or_else(|| Failure::new("it is in the window"))?;
    PageRange::new(first, PageCount::ONE).ok_or_else(|| Failure::new("it is in the window"))
}

fn reserve(site: &Site<'_>) -> Result<u64, Failure> {
    let page = some_page()?;
    steady(|_| {
        let (counted, reserved) = count(|| site.arena.reserve_pages(page.to_ptr(), page.count(), Owner::Kernel));
        reserved?;
        equal("the slot", site.arena.page_state(page.first()), Some(SlotState::Reserved(Owner::Kernel)))?;
        site.free(page)?;
        Ok(counted)
    })
}

fn free_reserved(site: &Site<'_>) -> Result<u64, Failure> {
    let page = some_page()?;
    steady(|_| {
        site.arena.reserve_pages(page.to_ptr(), page.count(), Owner::Kernel)?;
        let (counted, freed) = count(|| site.arena.free_pages(page.to_ptr(), page.count(), Owner::Kernel));
        freed?;
        is_gone(site, page)?;
        Ok(counted)
    })
}

fn reclaim_idle(site: &Site<'_>) -> Result<u64, Failure> {
    steady(|_| Ok(count(|| site.arena.reclaim()).0))
}

fn reclaim_one(site: &Site<'_>) -> Result<u64, Failure> {
    steady(|_| {
        let range = site.alloc(1)?;
        site.arena.free_pages_deferred(range.to_ptr(), range.count(), Owner::Kernel)?;
        let (counted, _) = count(|| site.arena.reclaim());
        is_gone(site, range)?;
        Ok(counted)
    })
}

/// All pages of the window, set aside.
fn all_reserved(site: &Site<'_>) -> Result<(), Failure> {
    let first = PageIndex::new(1).and_then(|first| PageRange::new(first, pages(WHOLE)));
    let all = first.ok_or_else(|| Failure::new("they are in the window"))?;
    site.arena.reserve_pages(all.to_ptr(), all.count(), Owner::Kernel)?;
    Ok(())
}

/// A page somewhere is freed, and allocated again, the only one that is free: what a nearly full arena does.
fn pair_with_all_others_taken(site: &Site<'_>) -> Result<u64, Failure> {
    all_reserved(site)?;
    steady(|run| {
        let at = PageIndex::new((run + 1) * 60_013).and_then(PageIndex::to_ptr);
        let at = at.ok_or_else(|| Failure::new("it is in the window"))?;
        site.arena.free_pages(at, PageCount::ONE, Owner::Kernel)?;
        let page = site.arena.alloc_pages(request(1))?;
        equal("the only page", page.to_ptr(), at)?;
        let (counted, done) = count(|| {
            site.arena.free_pages(at, PageCount::ONE, Owner::Kernel)?;
            Ok::<_, Failure>(site.arena.alloc_pages(request(1))?)
        });
        equal("the only page", done?.to_ptr(), at)?;
        Ok(counted)
    })
}

/// The first time, and once that has left whatever it leaves.
fn refused(site: &Site<'_>) -> Result<(u64, u64), Failure> {
    all_reserved(site)?;
    let ask = || site.arena.alloc_pages(AllocRequest::new(PageCount::ONE, Owner::Kernel).in_context(Context::Any));
    let (first, refused) = count(ask);
    holds("it is refused", refused.is_err())?;
    let (again, refused) = count(ask);
    holds("it is refused again", refused.is_err())?;
    Ok((first, again))
}

fn frame(site: &Site<'_>) -> Result<u64, Failure> {
    let frames = site.arena.platform().frames();
    steady(|_| {
        let (counted, taken) = count(|| frames.alloc().map(|frame| frames.free(frame)));
        taken.ok_or_else(|| Failure::new("there is no frame"))?;
        Ok(counted)
    })
}

fn shootdown(site: &Site<'_>) -> Result<u64, Failure> {
    let page = AddressRange::new(VirtAddr::new(site.address(SOME / 2)), PAGE_SIZE);
    steady(|_| Ok(count(|| site.arena.platform().shootdown().shootdown(&[page], FlushScope::Leaves)).0))
}

fn zeroing(site: &Site<'_>) -> Result<u64, Failure> {
    let frame = site.arena.platform().frames().alloc().ok_or_else(|| Failure::new("there is no frame"))?;
    let page = site.arena.platform().phys_map().frame_to_ptr(frame);
    let counted = steady(|_| {
        // SAFETY: the frame is ours, and the map has it.
        unsafe { page.cast::<u64>().write(1) };
        // SAFETY: as above; a frame is a page's memory, and aligned.
        let (counted, ()) = count(|| unsafe { Native::zero_page(page.cast()) });
        // SAFETY: as above.
        equal("the first word", unsafe { page.cast::<u64>().read() }, 0)?;
        Ok(counted)
    });
    site.arena.platform().frames().free(frame);
    counted
}
