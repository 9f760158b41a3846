//! Free of one page that is there, and its owner's, at once or deferred: the same steps as for many, without a batch.

use super::Caller;
use crate::addr::{ArenaPtr, PageCount, PageIndex, PageRange};
use crate::arch::Arch;
use crate::arena::slots::transition::settle;
use crate::arena::{Arena, FreeError};
use crate::platform::{FlushScope, FrameSource, Platform};
use crate::slot::{Owner, SlotState};
use crate::sync::AtomicU64;

/// What became of a page that was to be freed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Single {
    /// It is free, or queued.
    Done,
    /// It was there and its owner's, and somebody else was faster.
    Raced,
    /// It is something else. Nothing was changed, and what it is is found by who looks closer.
    Other,
}

/// A page of the extent, as its slot said.
struct Looked<'a> {
    page: u32,
    bit: u32,
    slot: &'a AtomicU64,
    word: u64,
}

/// The page with this address, which was looked at.
const fn single(at: ArenaPtr) -> PageRange {
    PageRange::of(PageIndex::containing(at).number(), 1)
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Looks once, and takes away what it saw: the exchange is from the very word that was found to be the owner's.
    #[inline(never)]
    pub(super) fn free_page(&self, at: ArenaPtr, owner: Owner) -> Single {
        let Some(looked) = self.look_once(at, owner) else { return Single::Other };
        let Looked { page, bit, slot, word } = looked;
        let Some(frame) = self.codec.frame_of(word, owner) else {
            return self.free_reserved_page(at, owner, slot, word);
        };
        // From before the slot is taken until the number is un-claimed.
        let Some(giving_back) = self.maps.giving_back_one(bit) else { return Single::Other };
        let vacated = self.codec.encode(SlotState::Vacated(self.next_tag()));
        if A::compare_exchange(slot, word, vacated).is_err() {
            return Single::Raced;
        }
        // A platform that unwinds from here on costs the frame and the number, as in a batch.
        self.flush_for(giving_back.shootdowns(), &[self.page_addresses(page, 1)], FlushScope::Leaves);
        if A::BREAK_BEFORE_MAKE {
            settle::<A>(slot, vacated);
        }
        // SAFETY: it came from this source; the exchange that took it from its slot was the right to free it, and the
        // flush above was the last that anybody saw of it.
        unsafe { self.platform.frames().free(frame) };
        self.maps.unclaim_bit(bit);
        Single::Done
    }

    /// What becomes of a free of one page that was not simply there.
    #[cold]
    #[inline(never)]
    pub(super) fn free_missed(&self, missed: Single, at: ArenaPtr, owner: Owner) -> Result<(), FreeError> {
        match missed {
            Single::Raced => self.raced(0, single(at)),
            _ => self.free_run(at, PageCount::ONE, owner),
        }
    }

    /// Queues one page that is there, and its owner's.
    #[inline(never)]
    pub(super) fn defer_page(&self, at: ArenaPtr, owner: Owner) -> Single {
        let Some(Looked { bit, slot, word, .. }) = self.look_once(at, owner) else { return Single::Other };
        let Some(frame) = self.codec.frame_of(word, owner) else { return Single::Other };
        if A::compare_exchange(slot, word, self.codec.encode_deferred(frame, owner)).is_err() {
            return Single::Raced;
        }
        self.maps.deferred.put_bit(bit);
        Single::Done
    }

    /// What becomes of a deferred free of one page that was not simply there.
    #[cold]
    #[inline(never)]
    pub(super) fn defer_missed(&self, missed: Single, at: ArenaPtr, owner: Owner) -> Result<(), FreeError> {
        if missed == Single::Raced { self.raced(0, single(at)) } else { self.defer_run(at, PageCount::ONE, owner) }
    }

    /// Frees one page that is reserved, and not scratched: there is nothing to flush or to give back. What the caller has got comes
    /// first, in the same order, so that it stays in its registers.
    #[inline(never)]
    fn free_reserved_page(&self, at: ArenaPtr, owner: Owner, slot: &AtomicU64, word: u64) -> Single {
        let bit = self.maps.bit_of(PageIndex::containing(at).number());
        if word != self.codec.encode(SlotState::Reserved(owner)) {
            return Single::Other;
        }
        let Some(_giving_back) = self.maps.giving_back_one(bit) else { return Single::Other };
        if A::compare_exchange(slot, word, self.codec.encode(SlotState::Vacant)).is_err() {
            return Single::Other;
        }
        self.maps.unclaim_bit(bit);
        Single::Done
    }

    #[inline]
    fn look_once(&self, at: ArenaPtr, owner: Owner) -> Option<Looked<'_>> {
        let page = PageIndex::containing(at);
        let bit = self.bit_at(at)?;
        self.refuse_what_is_referred_to(page, owner, Caller::Anybody).ok()?;
        let slot = self.slot_of_bit(bit)?;
        Some(Looked { page: page.number(), bit, slot, word: A::load(slot) })
    }
}
