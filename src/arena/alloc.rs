//! Allocation: frames first, then a number, then the slot.

use super::claimed::Claimed;
use super::frames::FrameChain;
use super::{AllocError, AllocRequest, Arena, Context, Placement, Reclaimable};
use crate::addr::{ArenaPtr, PAGE_SIZE, PageCount, PageIndex, PageRange};
use crate::arch::Arch;
use crate::pages::{Avoid, ClaimError, ones};
use crate::platform::{CpuIdentity, Platform};
use crate::slot::SlotState;
use crate::sync::Ordering;

/// How many runs of pages an allocation tries that faults keep scratching meanwhile.
const TRIES: u32 = 8;
/// From how many pages on an allocation looks for room before it takes frames.
const LARGE: u32 = 64;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Allocates pages, zeroed, visible in every view when it returns.
    ///
    /// Context: *any* with [`Context::Any`]; with [`Context::MayWait`] it *may wait for a shootdown*, if a page that it takes
    /// holds the scratch page. In both it calls the frame source.
    ///
    /// # Errors
    /// [`AllocError`]; nothing was changed then, but for marks and pages that wait for [`reclaim`](Self::reclaim).
    pub fn alloc_pages(&self, request: AllocRequest) -> Result<PageRange, AllocError> {
        let claimer = self.check(&request)?;
        self.foresee(&request, &claimer)?;
        let mut chain = FrameChain::new(&self.platform);
        for _ in 0..TRIES {
            chain.fill(request.count.get(), request.node).ok_or(AllocError::OutOfFrames)?;
            let claimed = self.claim_for(&request, &claimer)?;
            if let Ok(pages) = self.install(claimed, &mut chain, &request) {
                return Ok(pages);
            }
            // A run is looked for elsewhere; pages that were named are where the faults are.
            if let Claimer::These(pages) | Claimer::Reserved(pages) = claimer {
                return Err(self.why_scratched(pages, request.context));
            }
        }
        Err(AllocError::Busy(self.reclaimable()))
    }

    /// Why pages that were named could not be installed: a fault put scratch there, and the caller may not wait, or it keeps
    /// doing so.
    fn why_scratched(&self, pages: PageRange, context: Context) -> AllocError {
        let scratched = |page: &PageIndex| {
            matches!(self.state(page.number()), SlotState::Scratch | SlotState::ScratchOverReserved(_))
        };
        match pages.pages().find(scratched) {
            Some(page) if context == Context::Any => AllocError::Tainted { page },
            _ => AllocError::Busy(self.reclaimable()),
        }
    }

    /// A look ahead for large requests, so that many frames are not taken and zeroed to no purpose. A hint, for the pages may
    /// be gone a moment later.
    fn foresee(&self, request: &AllocRequest, claimer: &Claimer) -> Result<(), AllocError> {
        let (count, &Claimer::Run { align }) = (request.count.get(), claimer) else { return Ok(()) };
        if count < LARGE || self.maps.has_run_without(count, align, avoided(request.context), |_, _| 0) {
            return Ok(());
        }
        Err(self.no_run(count, align, request.context))
    }

    fn check(&self, request: &AllocRequest) -> Result<Claimer, AllocError> {
        if request.count == PageCount::ZERO {
            return Err(AllocError::ZeroPages);
        }
        match request.placement {
            Placement::Anywhere { align } if !align.get().is_power_of_two() => Err(AllocError::BadAlignment),
            Placement::Anywhere { .. } if request.count > self.layout.extent().count() => Err(AllocError::Outside),
            Placement::Anywhere { align } => Ok(Claimer::Run { align: align.get() }),
            Placement::Exactly(at) => self.named(at, request.count).map(Claimer::These),
            Placement::Reserved(at) => self.named(at, request.count).map(Claimer::Reserved),
        }
    }

    fn named(&self, at: ArenaPtr, count: PageCount) -> Result<PageRange, AllocError> {
        self.pages_at(at, count).map_err(|error| match error {
            RangeError::Misaligned => AllocError::Misaligned,
            RangeError::Outside => AllocError::Outside,
        })
    }

    fn claim_for(&self, request: &AllocRequest, claimer: &Claimer) -> Result<Claimed<'_>, AllocError> {
        let pages = match *claimer {
            Claimer::Reserved(pages) => return self.claim_reserved(pages, request.owner),
            Claimer::These(pages) => self.claim_these(pages),
            Claimer::Run { align } => self.claim_anywhere(request.count.get(), align, request.context),
        };
        pages.map(|pages| Claimed::new(&self.maps, pages))
    }

    fn claim_these(&self, pages: PageRange) -> Result<PageRange, AllocError> {
        match self.maps.claim(pages) {
            Ok(()) => Ok(pages),
            Err(ClaimError::Taken(page)) if self.is_passing(page) => Err(AllocError::Busy(self.reclaimable())),
            Err(ClaimError::Taken(page)) => Err(AllocError::Taken { page: PageIndex::masked(page) }),
            Err(ClaimError::NoRun) => Err(AllocError::NoSpace(self.reclaimable())),
        }
    }

    fn claim_anywhere(&self, count: u32, align: u32, context: Context) -> Result<PageRange, AllocError> {
        let own_start = self.own_start();
        let found = self.maps.claim_run(count, align, Avoid::Tainted, own_start).or_else(|error| match context {
            Context::MayWait => self.maps.claim_run(count, align, Avoid::Nothing, own_start),
            Context::Any => Err(error),
        });
        found.map_err(|_| self.no_run(count, align, context))
    }

    /// Why there is no run: because none would be there even if all operations had ended, or because of those that have not.
    fn no_run(&self, count: u32, align: u32, context: Context) -> AllocError {
        let passing = |word: u32, claimed: u64| {
            let in_passing = |bit: &u32| self.is_passing(self.maps.page_of(word * 64 + bit));
            ones(claimed).filter(in_passing).fold(0, |mask, bit| mask | 1 << bit)
        };
        if self.maps.has_run_without(count, align, avoided(context), passing) {
            AllocError::Busy(self.reclaimable())
        } else {
            AllocError::NoSpace(self.reclaimable())
        }
    }

    /// Whether a page of the extent that is claimed is in the middle of somebody's operation: its slot does not say whose it
    /// is, so it is about to be installed or has just been freed; or it is deferred but not queued, so it is about to be.
    pub(super) fn is_passing(&self, page: u32) -> bool {
        let bit = self.maps.bit_of(page);
        match self.state(page) {
            SlotState::Vacant | SlotState::Vacated(_) | SlotState::Scratch => self.maps.in_extent(bit),
            SlotState::Deferred(..) => !self.maps.deferred.test(bit, Ordering::Acquire),
            _ => false,
        }
    }

    /// Where this CPU goes on searching after it has lost a race, as a fraction of the extent in 2^-16: a CPU's number with
    /// its bits reversed, so that few CPUs lie far apart.
    fn own_start(&self) -> u16 {
        self.platform.cpus().current().map_or(0, |current| current.cpu.number().reverse_bits())
    }

    pub(super) fn reclaimable(&self) -> Reclaimable {
        let (deferred, tainted) = self.maps.reclaimable();
        Reclaimable { deferred, tainted }
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

/// Which pages an allocation in this context must leave alone.
const fn avoided(context: Context) -> Avoid {
    match context {
        Context::Any => Avoid::Tainted,
        Context::MayWait => Avoid::Nothing,
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
