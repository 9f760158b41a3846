//! Allocation of one page that may be anywhere: the same steps as for many, where nothing comes between.

use super::frames::Fresh;
use crate::addr::PageRange;
use crate::arch::Arch;
use crate::arena::slots::claimed::Claimed;
use crate::arena::{AllocError, AllocRequest, Arena};
use crate::pages::Nowhere;
use crate::platform::{NodeId, Platform};
use crate::slot::Owner;

/// Why a page could not be had at once. Nothing was changed.
#[derive(Clone, Copy)]
pub(super) enum Missed {
    /// There is none, and it was said before.
    Refused,
    /// The frame source has none.
    NoFrame,
    /// What stands in the way is found again by who looks closer.
    Unknown,
}

/// On its own, so that who has a page does not make up errors.
#[cold]
#[inline(never)]
const fn missed(missed: Missed) -> Result<u32, Missed> {
    Err(missed)
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// The number of the lowest page, if it can be had at once.
    #[inline(never)]
    pub(super) fn alloc_page(&self, owner: Owner, node: Option<NodeId>) -> Result<u32, Missed> {
        let from = self.start();
        let bit = match self.maps.find_one(from) {
            Ok(bit) => bit,
            Err(Nowhere::Refused) => return missed(Missed::Refused),
            Err(Nowhere::Full) => return missed(Missed::Unknown),
        };
        self.leave_if_below(bit, from);
        // In case of doubt it goes back, after its number.
        let Some(fresh) = Fresh::take::<A>(&self.platform, node) else { return missed(Missed::NoFrame) };
        if !self.maps.claim_bit(bit) {
            self.moved.lost(self.cpu());
            return missed(Missed::Unknown);
        }
        // The number is this call's until the slot says whose the page is. In between the platform's map is asked: should it unwind, the
        // number goes back. Where nothing unwinds, this is no instruction.
        let claimed = Claimed::new(&self.maps, PageRange::of(self.maps.page_of(bit), 1));
        let slot = self.slot_of_bit(bit);
        let is_there = slot.is_some_and(|slot| self.put_mapped(slot, fresh.frame(), owner));
        claimed.owe();
        if !is_there {
            self.give_up_bit(bit);
            return missed(Missed::Unknown);
        }
        fresh.installed();
        A::publish_and_sync();
        Ok(self.maps.page_of(bit))
    }

    /// A number that was claimed, and whose slot somebody else has changed.
    #[cold]
    #[inline(never)]
    fn give_up_bit(&self, bit: u32) {
        drop(Claimed::new(&self.maps, PageRange::of(self.maps.page_of(bit), 1)));
    }

    /// What becomes of a request for a page that could not be had at once.
    #[cold]
    #[inline(never)]
    pub(super) fn alloc_missed(&self, missed: Missed, request: &AllocRequest) -> Result<PageRange, AllocError> {
        match missed {
            Missed::Refused => self.no_space(),
            Missed::NoFrame => Err(AllocError::OutOfFrames),
            Missed::Unknown => self.alloc_run(request),
        }
    }
}
