//! Allocation: a look for room, then frames, then a number, then the slot.

mod find;
mod frames;
mod install;
mod moved;
mod one;
mod request;

pub use request::{AllocRequest, Context, Placement};

pub(super) use moved::Moved;

use core::ops::Range;

use crate::addr::{ArenaPtr, PAGE_SIZE, PageCount, PageIndex, PageRange};
use crate::arch::Arch;
use crate::arena::slots::claimed::Claimed;
use crate::arena::{AllocError, Arena, Reclaimable};
use crate::pages::Taken;
use crate::platform::Platform;
use crate::slot::SlotState;
use crate::sync::Ordering;
use frames::FrameChain;
use install::Collided;

/// How many runs of pages an allocation tries that faults keep scratching meanwhile.
const TRIES: u32 = 8;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Allocates pages, zeroed, there for every CPU when it returns.
    ///
    /// All of them are zeroed within the call, in any context: its time grows with their number. It takes some 1.5 KiB
    /// of stack, and 4 more where faults scratch the pages of a reservation in the midst of it.
    ///
    /// Context: *any* with [`Context::Any`]; with [`Context::MayWait`] it *may wait for a shootdown*, if a page that it takes
    /// holds the scratch page. In both it calls the frame source.
    ///
    /// # Errors
    /// [`AllocError`]; nothing was changed then, but for marks and pages that wait for [`reclaim`](Self::reclaim).
    #[inline]
    pub fn alloc_pages(&self, request: AllocRequest) -> Result<PageRange, AllocError> {
        if request.is_for_one_page() {
            match self.alloc_page(request.owner, request.node) {
                Ok(page) => Ok(PageRange::of(page, 1)),
                Err(missed) => self.alloc_missed(missed, &request),
            }
        } else {
            self.alloc_run(&request)
        }
    }

    /// The same for any number of pages, wherever they may be; and for one page that could not be had at once. On its own, so
    /// that who asks for one page has none of it on its stack.
    #[inline(never)]
    fn alloc_run(&self, request: &AllocRequest) -> Result<PageRange, AllocError> {
        let claimer = self.check(request)?;
        let mut foreseen = Some(self.foresee(request, &claimer)?);
        let mut chain = FrameChain::new(&self.platform);
        let (mut scratched, mut foreign) = (0, 0);
        while scratched < TRIES && foreign <= self.layout.extent().count().get() {
            chain.fill::<A>(request.count.get(), request.node).ok_or(AllocError::OutOfFrames)?;
            let claimed = self.claim_for(request, &claimer, foreseen.take())?;
            match self.install(claimed, &mut chain, request) {
                Ok(pages) => return Ok(pages),
                Err(Collided::Scratch) => scratched += 1,
                // It is set aside, so no later try meets it, of this call or another: there are no more of these than
                // pages, unless somebody keeps writing.
                Err(Collided::Foreign) => foreign += 1,
            }
            // A run is looked for elsewhere; pages that were named are where the faults are.
            if let Claimer::These(pages) | Claimer::Reserved(pages) = claimer {
                return Err(self.why_collided(pages, request.context));
            }
        }
        Err(AllocError::Busy(self.reclaimable()))
    }

    /// Why pages that were named could not be installed: somebody else has written to a slot; or a fault put scratch there, and
    /// the caller may not wait, or it keeps doing so.
    #[cold]
    fn why_collided(&self, pages: PageRange, context: Context) -> AllocError {
        if let Some(page) = self.first_foreign(pages) {
            return AllocError::Foreign { page };
        }
        let scratched = |page: &PageIndex| self.state(page.number()).is_scratch();
        match pages.pages().find(scratched) {
            Some(page) if context == Context::Any => AllocError::Tainted { page },
            _ => AllocError::Busy(self.reclaimable()),
        }
    }

    /// Sees to it that there is room before frames are taken and zeroed: the pages that were named, or a run. A hint, for
    /// they may be gone a moment later.
    fn foresee(&self, request: &AllocRequest, claimer: &Claimer) -> Result<PageRange, AllocError> {
        match *claimer {
            Claimer::These(pages) => match self.maps.first_claimed(pages) {
                None => Ok(pages),
                Some(page) => Err(self.why_claimed(page)),
            },
            Claimer::Reserved(pages) => self.check_reserved(pages, request.owner).map(|()| pages),
            Claimer::Run { align } => self.find_run(request.count.get(), align, request.context, self.start()),
        }
    }

    fn check(&self, request: &AllocRequest) -> Result<Claimer, AllocError> {
        if request.count == PageCount::ZERO {
            return Err(AllocError::ZeroPages);
        }
        match request.placement {
            Placement::Anywhere { align } if !align.get().is_power_of_two() => Err(AllocError::BadAlignment),
            Placement::Anywhere { align } if !self.has_place_for(request.count, align) => Err(AllocError::Outside),
            Placement::Anywhere { align } => Ok(Claimer::Run { align: align.get() }),
            Placement::Exactly(at) => self.named(at, request.count).map(Claimer::These),
            Placement::Reserved(at) => self.named(at, request.count).map(Claimer::Reserved),
        }
    }

    /// Whether the extent has so many pages in a row, the first a multiple of `align`, a power of two: free or not.
    const fn has_place_for(&self, count: PageCount, align: PageCount) -> bool {
        let Range { start, end } = self.layout.extent().numbers();
        // Each is 2^20 at most.
        start.next_multiple_of(align.get()) + count.get() <= end
    }

    fn named(&self, at: ArenaPtr, count: PageCount) -> Result<PageRange, AllocError> {
        self.pages_at(at, count).map_err(|error| match error {
            RangeError::Misaligned => AllocError::Misaligned,
            RangeError::Outside => AllocError::Outside,
        })
    }

    fn claim_for(
        &self,
        request: &AllocRequest,
        claimer: &Claimer,
        foreseen: Option<PageRange>,
    ) -> Result<Claimed<'_>, AllocError> {
        let pages = match *claimer {
            Claimer::Reserved(pages) => return self.claim_reserved(pages, request.owner),
            Claimer::These(pages) => match self.maps.claim(pages) {
                Ok(()) => Ok(pages),
                Err(Taken(page)) => Err(self.why_claimed(page)),
            },
            Claimer::Run { align } => self.claim_run(request.count.get(), align, request.context, foreseen),
        };
        pages.map(|pages| Claimed::new(&self.maps, pages))
    }

    /// Why a page that was named could not be claimed.
    #[cold]
    fn why_claimed(&self, page: u32) -> AllocError {
        if self.is_foreign(page) {
            AllocError::Foreign { page: PageIndex::masked(page) }
        } else if self.is_passing(page) {
            AllocError::Busy(self.reclaimable())
        } else {
            AllocError::Taken { page: PageIndex::masked(page) }
        }
    }

    /// Whether a page of the extent that is claimed is in the middle of somebody's operation: its slot does not say whose it
    /// is, so it is about to be installed or has just been freed; or it is deferred but not queued, so it is about to be.
    #[inline(never)]
    pub(super) fn is_passing(&self, page: u32) -> bool {
        let bit = self.maps.bit_of(page);
        match self.state(page) {
            SlotState::Vacant | SlotState::Vacated(_) | SlotState::Scratch => self.maps.in_extent(bit),
            SlotState::Deferred(..) => !self.maps.deferred.pages().bits().test(bit, Ordering::Acquire),
            _ => false,
        }
    }

    #[inline]
    pub(super) fn reclaimable(&self) -> Reclaimable {
        let (deferred, tainted) = self.maps.reclaimable();
        Reclaimable { deferred, tainted, foreign: self.shared.0.foreign.get() }
    }

    /// The pages that a pointer and a count name, if they lie in the extent.
    pub(super) fn pages_at(&self, at: ArenaPtr, count: PageCount) -> Result<PageRange, RangeError> {
        if u64::from(at.offset()) % PAGE_SIZE != 0 {
            return Err(RangeError::Misaligned);
        }
        PageRange::new(PageIndex::containing(at), count)
            .filter(|pages| self.in_extent(*pages))
            .ok_or(RangeError::Outside)
    }
}

/// Which page numbers an allocation is after.
#[derive(Clone, Copy)]
enum Claimer {
    These(PageRange),
    Reserved(PageRange),
    Run { align: u32 },
}

/// What is wrong with a pointer and a count.
#[derive(Clone, Copy, Debug)]
pub(super) enum RangeError {
    Misaligned,
    Outside,
}
