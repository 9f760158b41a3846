//! Reservation: a number that is set aside, without a frame.

use super::alloc::RangeError;
use super::{Arena, ReserveError};
use crate::addr::{ArenaPtr, PageCount, PageIndex, PageRange};
use crate::arch::Arch;
use crate::pages::ClaimError;
use crate::platform::Platform;
use crate::slot::{Owner, SlotState};
use crate::sync::AtomicU64;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Sets pages aside: nothing is allocated there until they are freed. A kernel access to them is a violation as to any
    /// page that is not there; scratch that is there stays until then.
    ///
    /// Context: *any*.
    ///
    /// # Errors
    /// [`ReserveError`]; nothing was changed then.
    pub fn reserve_pages(&self, at: ArenaPtr, count: PageCount, owner: Owner) -> Result<(), ReserveError> {
        let pages = self.pages_at(at, count).map_err(|error| match error {
            RangeError::Misaligned => ReserveError::Misaligned,
            RangeError::Outside => ReserveError::Outside,
        })?;
        if count == PageCount::ZERO {
            return Err(ReserveError::ZeroPages);
        }
        self.maps.claim(pages).map_err(|error| match error {
            ClaimError::Taken(page) => self.why_taken(page),
            ClaimError::NoRun => ReserveError::Outside,
        })?;
        self.set_aside(pages, owner);
        Ok(())
    }

    /// Claimed pages: vacant -> reserved, scratch -> scratch-over-reserved.
    fn set_aside(&self, pages: PageRange, owner: Owner) {
        for (page, slot) in pages.numbers().filter_map(|page| Some((page, self.slot(page)?))) {
            debug_assert!(self.maps.is_claimed(page));
            self.set_one_aside(slot, owner);
        }
    }

    /// At most two turns: a fault may put scratch on a vacant slot once, and nobody but us takes it away.
    fn set_one_aside(&self, slot: &AtomicU64, owner: Owner) {
        let mut seen = self.codec.decode(A::load(slot));
        loop {
            let to = match seen {
                SlotState::Vacant | SlotState::Vacated(_) => SlotState::Reserved(owner),
                SlotState::Scratch => SlotState::ScratchOverReserved(owner),
                // Not ours to change, and not reachable: the page is claimed by us.
                _ => return,
            };
            match self.exchange(slot, seen, to) {
                Ok(()) => return,
                Err(now) => seen = now,
            }
        }
    }

    fn why_taken(&self, page: u32) -> ReserveError {
        let index = PageIndex::masked(page);
        if self.is_passing(page) { ReserveError::Busy { page: index } } else { ReserveError::Taken { page: index } }
    }
}
