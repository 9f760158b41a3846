//! Reservation: a number that is set aside, without a frame.

mod reservation;

use crate::addr::{ArenaPtr, PageCount, PageIndex};
use crate::arch::Arch;
use crate::arena::alloc::RangeError;
use crate::arena::slots::claimed::Claimed;
use crate::arena::slots::transition::set_aside;
use crate::arena::{Arena, ReserveError};
use crate::pages::Taken;
use crate::platform::Platform;
use crate::slot::{Owner, SlotCodec, SlotState};
use crate::sync::AtomicU64;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Sets pages aside: nothing is allocated there until they are freed. A kernel access to them is a violation as to any
    /// page that is not there; scratch that is there stays until then.
    ///
    /// A reservation ends by a free, of any part of it, or becomes an allocation, of any part of it, by
    /// [`AllocRequest::in_reservation`](crate::AllocRequest::in_reservation).
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
        self.maps.claim(pages).map_err(|Taken(page)| self.why_taken(page))?;
        let claimed = Claimed::new(&self.maps, pages);
        if let Some(page) = self.first_foreign(pages) {
            self.give_up_foreign(claimed, page);
            return Err(ReserveError::Foreign { page });
        }
        self.set_aside(claimed, owner);
        Ok(())
    }

    /// Claimed pages: vacant -> reserved, scratch -> scratch-over-reserved. One to which somebody else has just written is left
    /// to `reclaim`.
    pub(super) fn set_aside(&self, mut claimed: Claimed<'_>, owner: Owner) {
        for page in claimed.pages().numbers() {
            debug_assert!(self.maps.is_claimed(page));
            if let Some(slot) = self.slot(page) {
                if !self.reserve_vacant(slot, owner) {
                    self.reserve_whatever_it_is(slot, page, owner);
                }
            }
            claimed.hand_out_first();
        }
    }

    /// What most often is: nothing, looked at and tried once.
    #[inline]
    fn reserve_vacant(&self, slot: &AtomicU64, owner: Owner) -> bool {
        let word = A::load(slot);
        SlotCodec::<A>::is_vacant(word)
            && A::compare_exchange(slot, word, self.codec.encode(SlotState::Reserved(owner))).is_ok()
    }

    #[cold]
    fn reserve_whatever_it_is(&self, slot: &AtomicU64, page: u32, owner: Owner) {
        match self.transition(slot, |seen| set_aside(seen, owner)) {
            Ok(_) => {}
            Err(SlotState::Foreign(_)) => self.set_aside_foreign(page),
            Err(other) => debug_assert!(false, "a page that we claimed is {other:?}"),
        }
    }

    fn why_taken(&self, page: u32) -> ReserveError {
        let index = PageIndex::masked(page);
        if self.is_foreign(page) {
            ReserveError::Foreign { page: index }
        } else if self.is_passing(page) {
            ReserveError::Busy { page: index }
        } else {
            ReserveError::Taken { page: index }
        }
    }
}
