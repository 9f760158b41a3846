//! Free of one page: the same steps as for many, without a batch.

use super::claimed::Claimed;
use super::free::{Caller, look_at};
use super::transition::taken_away;
use super::{Arena, FreeError};
use crate::addr::{ArenaPtr, PageCount, PageIndex, PageRange};
use crate::arch::Arch;
use crate::platform::{FlushScope, FrameSource, Platform};
use crate::slot::{Owner, SlotState};
use crate::sync::AtomicU64;
use crate::violations::ViolationKind;

/// A slot that was looked at, and what its word said.
struct Looked<'a> {
    page: PageIndex,
    slot: &'a AtomicU64,
    word: u64,
    seen: SlotState,
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Looks once, and takes away what it saw: the exchange is from the very word that was found to be the owner's.
    pub(super) fn free_page(&self, at: ArenaPtr, owner: Owner) -> Result<(), FreeError> {
        let looked = self.look_at_page(at, owner).inspect_err(|_| {
            self.record_free(self.layout.to_kernel(at), ViolationKind::InvalidFree);
        })?;
        let Looked { page, slot, word, seen } = looked;
        let single = PageRange::of(page.number(), 1);
        // From before the slot is taken until the number is un-claimed.
        let giving_back = self.maps.batch(page.number());
        let Ok(was) = self.transition_from(slot, word, seen, |seen| taken_away(seen, owner, || self.next_tag())) else {
            return self.freed(0, single);
        };
        // A platform that unwinds from here on costs the frame and the number, as in a batch.
        Claimed::new(&self.maps, single).hand_out();
        if was.is_present() {
            let range = [self.page_addresses(page.number(), 1)];
            self.flush_for(Some(&giving_back), &range, FlushScope::Leaves);
        }
        if let Some(frame) = was.frame() {
            // SAFETY: it came from this source; the exchange that took it from its slot was the right to free it, and the
            // flush above was the last that anybody saw of it.
            unsafe { self.platform.frames().free(frame) };
        }
        self.maps.unclaim_page(page.number());
        if A::BREAK_BEFORE_MAKE && was.frame().is_some() {
            self.maps.note_unsettled(single);
        }
        Ok(())
    }

    #[inline]
    fn look_at_page(&self, at: ArenaPtr, owner: Owner) -> Result<Looked<'_>, FreeError> {
        let page = self.pages_at(at, PageCount::ONE)?.first();
        let slot = self.slot(page.number()).ok_or(FreeError::Foreign { page })?;
        let word = A::load(slot);
        let seen = self.codec.decode(word);
        look_at(seen, page, owner)?;
        self.refuse_what_is_referred_to(page, owner, Caller::Anybody)?;
        Ok(Looked { page, slot, word, seen })
    }
}
