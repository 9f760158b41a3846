//! Reservation: a number that is set aside, without a frame.

mod reservation;

use crate::addr::{ArenaPtr, PageCount, PageIndex, PageRange};
use crate::arch::Arch;
use crate::arena::alloc::RangeError;
use crate::arena::slots::claimed::Claimed;
use crate::arena::slots::transition::set_aside;
use crate::arena::{Arena, ReserveError};
use crate::pages::Taken;
use crate::platform::Platform;
use crate::slot::{Owner, SlotCodec, SlotState};
use crate::sync::AtomicU64;

/// Why one page could not be set aside at once. What stands in the way is found by who looks closer.
#[derive(Clone, Copy)]
enum Missed {
    /// Its number could not be had. Nothing was changed.
    Unclaimed,
    /// Its number is the caller's, and something is in its slot.
    Claimed,
}

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
    #[inline]
    pub fn reserve_pages(&self, at: ArenaPtr, count: PageCount, owner: Owner) -> Result<(), ReserveError> {
        if count != PageCount::ONE {
            return self.reserve_run(at, count, owner);
        }
        match self.reserve_page(at, owner) {
            Ok(()) => Ok(()),
            Err(missed) => self.reserve_missed(missed, at, owner),
        }
    }

    /// One page that nobody has and where nothing is: the same steps as for many, where nothing comes between.
    #[inline(never)]
    fn reserve_page(&self, at: ArenaPtr, owner: Owner) -> Result<(), Missed> {
        let Some(bit) = self.bit_at(at) else { return Err(Missed::Unclaimed) };
        let Some(slot) = self.slot_of_bit(bit) else { return Err(Missed::Unclaimed) };
        if !self.maps.claim_bit(bit) {
            return Err(Missed::Unclaimed);
        }
        if self.reserve_vacant(slot, owner) { Ok(()) } else { Err(Missed::Claimed) }
    }

    /// What becomes of a page that could not be set aside at once.
    #[cold]
    #[inline(never)]
    fn reserve_missed(&self, missed: Missed, at: ArenaPtr, owner: Owner) -> Result<(), ReserveError> {
        let page = PageRange::of(PageIndex::containing(at).number(), 1);
        match missed {
            Missed::Unclaimed => self.reserve_run(at, PageCount::ONE, owner),
            Missed::Claimed => self.reserve_claimed(Claimed::new(&self.maps, page), owner),
        }
    }

    /// The same for any number of pages.
    #[inline(never)]
    fn reserve_run(&self, at: ArenaPtr, count: PageCount, owner: Owner) -> Result<(), ReserveError> {
        let pages = self.pages_at(at, count).map_err(|error| match error {
            RangeError::Misaligned => ReserveError::Misaligned,
            RangeError::Outside => ReserveError::Outside,
        })?;
        if count == PageCount::ZERO {
            return Err(ReserveError::ZeroPages);
        }
        self.maps.claim(pages).map_err(|Taken(page)| self.why_taken(page))?;
        self.reserve_claimed(Claimed::new(&self.maps, pages), owner)
    }

    fn reserve_claimed(&self, claimed: Claimed<'_>, owner: Owner) -> Result<(), ReserveError> {
        if let Some(page) = self.first_foreign(claimed.pages()) {
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
        match self.transition(slot, &mut |seen| set_aside(seen, owner)) {
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
