//! An allocation in place of a reservation.
//!
//! The reservation gives way (S6), but its number is not un-claimed: it stays with the allocation, which installs its pages as
//! on any number that it has claimed. So there is no moment in which another could take it, and none in which two of the same
//! owner could install into one slot: the exchange that takes the reservation away is the right to it. What comes to nothing
//! is set aside again.

use crate::addr::{PageIndex, PageRange};
use crate::arch::Arch;
use crate::arena::slots::batch::Batch;
use crate::arena::slots::claimed::Claimed;
use crate::arena::slots::transition::{taken_away, unreserved};
use crate::arena::{AllocError, AllocRequest, Arena, Context};
use crate::platform::Platform;
use crate::slot::{Owner, SlotState};

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Whether all of these pages are reserved for `owner`.
    pub(in crate::arena) fn check_reserved(&self, pages: PageRange, owner: Owner) -> Result<(), AllocError> {
        for page in pages.pages() {
            match self.state(page.number()) {
                SlotState::Reserved(theirs) | SlotState::ScratchOverReserved(theirs) if theirs == owner => {}
                SlotState::Reserved(theirs) | SlotState::ScratchOverReserved(theirs) => {
                    return Err(AllocError::NotOwner { page, owner: theirs });
                }
                SlotState::Foreign(_) => return Err(AllocError::Foreign { page }),
                _ => return Err(AllocError::NotReserved { page }),
            }
        }
        Ok(())
    }

    /// Takes the numbers of pages that are reserved for `owner`: all, or none.
    #[inline(never)]
    pub(in crate::arena) fn claim_reserved(&self, pages: PageRange, owner: Owner) -> Result<Claimed<'_>, AllocError> {
        // All are looked at before any is changed.
        self.check_reserved(pages, owner)?;
        let first = pages.first().number();
        for (count, page) in (0..).zip(pages.numbers()) {
            let taken =
                self.slot(page).is_some_and(|slot| self.transition(slot, &mut |seen| unreserved(seen, owner)).is_ok());
            if !taken {
                // Another free or allocation of these pages came between.
                self.set_aside(Claimed::new(&self.maps, PageRange::of(first, count)), owner);
                return Err(AllocError::NotReserved { page: PageIndex::masked(page) });
            }
        }
        Ok(Claimed::new(&self.maps, pages))
    }

    /// Undoes an allocation of reserved `pages` that failed where `rest` begins: all of them are reserved again. Where nothing
    /// may wait, those that had been installed are queued to be freed instead, for their translation may have been used.
    pub(in crate::arena) fn set_aside_again(&self, pages: PageRange, rest: Claimed<'_>, request: &AllocRequest) {
        let owner = request.owner;
        for page in pages.first().number()..rest.pages().first().number() {
            if request.context == Context::Any {
                self.queue(page, owner);
            } else {
                self.set_aside_installed(page, owner);
            }
        }
        self.set_aside(rest, owner);
    }

    /// Takes a page away, has its translation forgotten and its frame given back, but keeps its number. Rare, so that each page
    /// may have a shootdown of its own; and on its own, so that no other allocation has the batch's room on its stack.
    #[cold]
    #[inline(never)]
    fn set_aside_installed(&self, page: u32, owner: Owner) {
        let Some(slot) = self.slot(page) else { return };
        let mut batch = Batch::new(self, page);
        let mut room = batch.room();
        let Ok(was) = self.transition(slot, &mut |seen| taken_away(seen, owner, || room.tag())) else { return };
        room.owe_unclaimed(page, was);
        drop(batch);
        self.set_aside(self.won_back(page), owner);
    }
}
