//! Free, at once and deferred.

mod one;

use crate::addr::{ArenaPtr, PageCount, PageIndex, PageRange};
use crate::arch::Arch;
use crate::arena::alloc::RangeError;
use crate::arena::slots::batch::{Batch, Room};
use crate::arena::slots::claimed::Claimed;
use crate::arena::slots::transition::{deferred, healed, taken_away, unreserved};
use crate::arena::{Arena, FreeError};
use crate::layout::Sharing;
use crate::pages::masks;
use crate::platform::Platform;
use crate::slot::{Owner, SlotState};
use crate::sync::AtomicU64;
use crate::violations::ViolationKind;
use one::Single;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Frees pages, allocated or reserved, that all belong to `owner`: when it returns no CPU reaches them any more, their
    /// frames are back, and their numbers may be allocated again.
    ///
    /// They need not have been allocated together: any part of an allocation or a reservation, and several that follow one
    /// another, may be freed in one call.
    ///
    /// Context: *may wait for a shootdown*. It calls the frame source. It takes some 5 KiB of stack, for what is owed for 64
    /// pages.
    ///
    /// # Errors
    /// [`FreeError`], also recorded as a violation ([`ViolationKind::InvalidFree`](crate::ViolationKind::InvalidFree)). All
    /// but `Raced` leave the pages as they were. On a [private](crate::ArenaLayout::private) arena `NotOwner` is the answer
    /// for an allocator's pages, too, though `owner` is the allocator: only
    /// [`free_allocator_pages`](Self::free_allocator_pages) takes them away.
    #[inline]
    pub fn free_pages(&self, at: ArenaPtr, count: PageCount, owner: Owner) -> Result<(), FreeError> {
        if count != PageCount::ONE {
            return self.free_run(at, count, owner);
        }
        match self.free_page(at, owner) {
            Single::Done => Ok(()),
            missed => self.free_missed(missed, at, owner),
        }
    }

    /// The same for any number of pages. On its own, so that who frees one page has no batch on its stack.
    #[inline(never)]
    fn free_run(&self, at: ArenaPtr, count: PageCount, owner: Owner) -> Result<(), FreeError> {
        let pages = self.check_free(at, count, owner, Caller::Anybody)?;
        let mut freed = 0;
        {
            let mut batch = Batch::new(self, pages.first().number());
            self.while_slots(pages, |page, slot| {
                freed += u32::from(self.take_away(slot, page, owner, &mut batch));
                true
            });
        }
        self.freed(freed, pages)
    }

    /// Queues pages to be freed by the next [`reclaim`](Self::reclaim): until then they stay readable and writable, but are
    /// nobody's, and their numbers are not allocated again. Pages that were only reserved are free at once.
    ///
    /// Context: *any*. It needs no memory, and nothing makes it stop half-way but another free of the same pages, which takes
    /// those that it takes (`Raced`).
    ///
    /// # Errors
    /// As for [`free_pages`](Self::free_pages).
    #[inline]
    pub fn free_pages_deferred(&self, at: ArenaPtr, count: PageCount, owner: Owner) -> Result<(), FreeError> {
        if count != PageCount::ONE {
            return self.defer_run(at, count, owner);
        }
        match self.defer_page(at, owner) {
            Single::Done => Ok(()),
            missed => self.defer_missed(missed, at, owner),
        }
    }

    /// The same for any number of pages, and for what is no page.
    #[inline(never)]
    fn defer_run(&self, at: ArenaPtr, count: PageCount, owner: Owner) -> Result<(), FreeError> {
        let pages = self.check_free(at, count, owner, Caller::Anybody)?;
        self.defer_pages(pages, owner)
    }

    /// Queues pages of an allocator's, as [`free_pages_deferred`](Self::free_pages_deferred) does: for whoever writes one
    /// for a private arena, from which nobody else frees an allocator's pages.
    ///
    /// Context: *any*.
    ///
    /// # Errors
    /// As for [`free_pages`](Self::free_pages).
    ///
    /// # Safety
    /// The pages are the caller's, and nobody refers to what is in them any more.
    pub unsafe fn free_allocator_pages(&self, pages: PageRange) -> Result<(), FreeError> {
        let pages = self.check_free(pages.to_ptr(), pages.count(), Owner::Allocator, Caller::Allocator)?;
        self.defer_pages(pages, Owner::Allocator)
    }

    fn defer_pages(&self, pages: PageRange, owner: Owner) -> Result<(), FreeError> {
        let mut freed = 0;
        for (word, mask) in masks(self.maps.bit_of(pages.first().number()), pages.count().get()) {
            let (mut queued, first) = (0, mask.trailing_zeros());
            let pages = PageRange::of(self.maps.page_of(word * 64 + first), mask.count_ones());
            self.while_slots(pages, |page, slot| {
                match self.defer(slot, page, owner) {
                    Some(Deferral::Queued) => queued |= 1 << (self.maps.bit_of(page) % 64),
                    Some(Deferral::Unreserved) => freed += 1,
                    None => {}
                }
                true
            });
            // Release: whoever takes a bit finds the slot deferred.
            self.maps.deferred.put(word, queued);
            freed += queued.count_ones();
        }
        self.freed(freed, pages)
    }

    #[inline]
    pub(super) fn freed(&self, freed: u32, pages: PageRange) -> Result<(), FreeError> {
        if freed == pages.count().get() {
            return Ok(());
        }
        self.raced(freed, pages)
    }

    #[cold]
    #[inline(never)]
    fn raced(&self, freed: u32, pages: PageRange) -> Result<(), FreeError> {
        self.record_free(self.layout.to_kernel(pages.to_ptr()), ViolationKind::InvalidFree);
        Err(FreeError::Raced { freed: PageCount::saturating(freed) })
    }

    /// Looks at every slot before any is changed (I6, I7).
    fn check_free(&self, at: ArenaPtr, count: PageCount, owner: Owner, caller: Caller) -> Result<PageRange, FreeError> {
        let checked = self.look(at, count, owner).and_then(|pages| {
            self.refuse_what_is_referred_to(pages.first(), owner, caller)?;
            Ok(pages)
        });
        if checked.is_err() {
            self.record_free(self.layout.to_kernel(at), ViolationKind::InvalidFree);
        }
        checked
    }

    /// On a private arena references lead into an allocator's pages: no safe call takes them away.
    pub(super) fn refuse_what_is_referred_to(
        &self,
        page: PageIndex,
        owner: Owner,
        caller: Caller,
    ) -> Result<(), FreeError> {
        let referred_to = self.layout.sharing() == Sharing::Private && owner == Owner::Allocator;
        if referred_to && caller == Caller::Anybody {
            return Err(FreeError::NotOwner { page, owner });
        }
        Ok(())
    }

    fn look(&self, at: ArenaPtr, count: PageCount, owner: Owner) -> Result<PageRange, FreeError> {
        let pages = self.pages_at(at, count)?;
        if count == PageCount::ZERO {
            return Err(FreeError::ZeroPages);
        }
        // Most often all are pages that are there, and their owner's.
        let there = self.while_slots(pages, |_, slot| self.codec.frame_of(A::load(slot), owner).is_some());
        for page in pages.pages().skip(there as usize) {
            is_to_free(self.state(page.number()), page, owner)?;
        }
        Ok(pages)
    }

    /// S4 for one page that belongs to `owner`. Its success is the right to free: the page goes into the batch.
    #[inline]
    fn take_away(&self, slot: &AtomicU64, page: u32, owner: Owner, batch: &mut Batch<'_, P, A>) -> bool {
        let mut room = batch.room();
        if let Some(frame) = self.take_mapped(slot, owner, |_| room.vacated()) {
            room.owe(self.won_back(page), SlotState::Mapped(frame, owner));
            return true;
        }
        self.take_away_whatever_it_is(slot, page, owner, room)
    }

    /// The same, where it is reserved or another was faster.
    ///
    /// A reserved page that holds scratch is given up first (S6): who succeeds has its number, alone. Then it is healed (S3), as any
    /// that is claimed: clear the mark, exchange, flush, and then note that the scratch page is worn. Who lost to another free
    /// has touched no mark. While the slot holds scratch no fault changes it, so the mark that is cleared was for the scratch
    /// that goes, or for older; a fault that comes after the exchange marks after that. What CPUs remember of scratch
    /// meanwhile is as with any healing: the number stays claimed until they have flushed it, and what they stored there by
    /// then comes before the note, which has `reclaim` zero it.
    #[cold]
    #[inline(never)]
    fn take_away_whatever_it_is(
        &self,
        slot: &AtomicU64,
        page: u32,
        owner: Owner,
        mut room: Room<'_, '_, P, A>,
    ) -> bool {
        let bit = self.maps.bit_of(page);
        let taken = self.transition(slot, &mut |seen| match seen {
            SlotState::ScratchOverReserved(_) => unreserved(seen, owner),
            _ => taken_away(seen, owner, || room.tag()),
        });
        if let Ok(was) = taken {
            if was.is_scratch() {
                self.maps.tainted.unmark_page(bit);
                let _foreign = self.transition(slot, &mut healed);
            }
            room.owe_whatever(self.won_back(page), was);
        }
        taken.is_ok()
    }

    /// S5 or S6 for one page that belongs to `owner`; `None` if it does not (any more).
    fn defer(&self, slot: &AtomicU64, page: u32, owner: Owner) -> Option<Deferral> {
        if self.take_mapped(slot, owner, |frame| self.codec.encode_deferred(frame, owner)).is_some() {
            return Some(Deferral::Queued);
        }
        self.defer_whatever_it_is(slot, page, owner)
    }

    #[cold]
    #[inline(never)]
    fn defer_whatever_it_is(&self, slot: &AtomicU64, page: u32, owner: Owner) -> Option<Deferral> {
        // From before the slot is taken: where it was only reserved, the number is given back at once.
        let _giving_back = self.maps.giving_back(PageRange::of(page, 1));
        let was = self.transition(slot, &mut |seen| deferred(seen, owner)).ok()?;
        if was.frame().is_some() {
            return Some(Deferral::Queued);
        }
        let number = self.won_back(page);
        // Marked before it is un-claimed, so that no allocation claims it only to find scratch.
        if was.is_present() {
            self.maps.tainted.mark_page(self.maps.bit_of(page));
        }
        drop(number);
        Some(Deferral::Unreserved)
    }

    /// The number of a page whose slot was just taken from its owner.
    pub(super) const fn won_back(&self, page: u32) -> Claimed<'_> {
        Claimed::new(&self.maps, PageRange::of(page, 1))
    }
}

/// Whether a page whose slot says this is `owner`'s to free.
fn is_to_free(seen: SlotState, page: PageIndex, owner: Owner) -> Result<(), FreeError> {
    match seen {
        SlotState::Mapped(_, theirs) | SlotState::Reserved(theirs) | SlotState::ScratchOverReserved(theirs) => {
            if theirs == owner { Ok(()) } else { Err(FreeError::NotOwner { page, owner: theirs }) }
        }
        SlotState::Foreign(_) => Err(FreeError::Foreign { page }),
        _ => Err(FreeError::NotAllocated { page }),
    }
}

impl From<RangeError> for FreeError {
    fn from(error: RangeError) -> Self {
        match error {
            RangeError::Misaligned => Self::Misaligned,
            RangeError::Outside => Self::Outside,
        }
    }
}

/// Who frees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Safe code.
    Anybody,
    /// An allocator, which vouches that nobody refers to its pages.
    Allocator,
}

/// What became of a page in a deferred free.
enum Deferral {
    /// It waits for `reclaim`; its bit in the queue is still to be set.
    Queued,
    /// It was only reserved, and is free.
    Unreserved,
}
