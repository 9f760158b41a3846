//! Free of one page that is there, and its owner's, at once or deferred: the same steps as for many, without a batch.

use super::Caller;
use crate::addr::{ArenaPtr, PageCount, PageRange};
use crate::arch::Arch;
use crate::arena::slots::claimed::Claimed;
use crate::arena::{Arena, FreeError};
use crate::platform::{FlushScope, FrameSource, Platform};
use crate::slot::{Owner, SlotState};
use crate::sync::AtomicU64;

/// A page of the extent.
struct Looked<'a> {
    single: PageRange,
    slot: &'a AtomicU64,
    /// What its slot said.
    word: u64,
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Looks once, and takes away what it saw: the exchange is from the very word that was found to be the owner's. `None` if
    /// that is not a page; nothing was changed then, and why is found by who looks closer.
    #[inline]
    pub(super) fn free_page(&self, at: ArenaPtr, owner: Owner) -> Option<Result<(), FreeError>> {
        let Looked { single, slot, word } = self.look_once(at, owner)?;
        let frame = self.codec.frame_of(word, owner)?;
        let page = single.first().number();
        // From before the slot is taken until the number is un-claimed.
        let giving_back = self.maps.batch(page);
        if A::compare_exchange(slot, word, self.codec.encode(SlotState::Vacated(self.next_tag()))).is_err() {
            return Some(self.freed(0, single));
        }
        // A platform that unwinds from here on costs the frame and the number, as in a batch.
        Claimed::new(&self.maps, single).hand_out();
        self.flush_for(Some(&giving_back), &[self.page_addresses(page, 1)], FlushScope::Leaves);
        // SAFETY: it came from this source; the exchange that took it from its slot was the right to free it, and the
        // flush above was the last that anybody saw of it.
        unsafe { self.platform.frames().free(frame) };
        self.maps.unclaim_page(page);
        if A::BREAK_BEFORE_MAKE {
            self.maps.note_unsettled(single);
        }
        Some(Ok(()))
    }

    /// Queues one page that is there, and its owner's. `None` if it is not.
    #[inline]
    pub(super) fn defer_page(&self, at: ArenaPtr, owner: Owner) -> Option<Result<(), FreeError>> {
        let Looked { single, slot, word } = self.look_once(at, owner)?;
        let frame = self.codec.frame_of(word, owner)?;
        if A::compare_exchange(slot, word, self.codec.encode_deferred(frame, owner)).is_err() {
            return Some(self.freed(0, single));
        }
        self.maps.deferred.put_bit(self.maps.bit_of(single.first().number()));
        Some(Ok(()))
    }

    /// Frees one page that is reserved, and not scratched: there is nothing to flush or to give back. `None` if it is not,
    /// or not any more.
    #[inline(never)]
    pub(super) fn free_reserved_page(&self, at: ArenaPtr, owner: Owner) -> Option<()> {
        let Looked { single, slot, word } = self.look_once(at, owner)?;
        if word != self.codec.encode(SlotState::Reserved(owner)) {
            return None;
        }
        let page = single.first().number();
        let _giving_back = self.maps.batch(page);
        A::compare_exchange(slot, word, self.codec.encode(SlotState::Vacant)).ok()?;
        self.maps.unclaim_page(page);
        Some(())
    }

    #[inline]
    fn look_once(&self, at: ArenaPtr, owner: Owner) -> Option<Looked<'_>> {
        let single = self.pages_at(at, PageCount::ONE).ok()?;
        self.refuse_what_is_referred_to(single.first(), owner, Caller::Anybody).ok()?;
        let slot = self.slot(single.first().number())?;
        Some(Looked { single, slot, word: A::load(slot) })
    }
}
