//! Putting frames into slots that were claimed.

use super::frames::FrameChain;
use super::{Arena, Context};
use crate::addr::PageRange;
use crate::arch::Arch;
use crate::pages::masks;
use crate::platform::{FlushScope, Frame, Platform};
use crate::slot::{Owner, SlotState};
use crate::sync::AtomicU64;

/// How often an allocation heals one of its pages again that faults keep scratching meanwhile.
const HEALS: u32 = 4;

/// A fault put the scratch page where a page was to go. Every claim was given up, and what had been installed is queued to be
/// freed; frames that were not used are still in the chain.
#[derive(Debug)]
pub(super) struct Collided;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Installs frames of `chain` into claimed pages (S2): all of them, or none that anybody will see.
    pub(super) fn install(
        &self,
        pages: PageRange,
        chain: &mut FrameChain<'_, P>,
        owner: Owner,
        context: Context,
    ) -> Result<(), Collided> {
        self.clear_scratch(pages, context)?;
        for page in pages.numbers() {
            if self.install_from(chain, page, owner, context).is_err() {
                self.give_up(pages, page, owner);
                return Err(Collided);
            }
        }
        A::publish_and_sync();
        Ok(())
    }

    /// S2 for one page with a frame of `chain`, which goes back there if it cannot be installed.
    fn install_from(
        &self,
        chain: &mut FrameChain<'_, P>,
        page: u32,
        owner: Owner,
        context: Context,
    ) -> Result<(), Collided> {
        let slot = self.slot(page).ok_or(Collided)?;
        let frame = chain.pop().ok_or(Collided)?;
        self.install_one(slot, page, frame, owner, context).inspect_err(|_| chain.push(frame))
    }

    /// S2 for one page; S3 and a shootdown before, where a fault has just put scratch there and the context may wait.
    fn install_one(
        &self,
        slot: &AtomicU64,
        page: u32,
        frame: Frame,
        owner: Owner,
        context: Context,
    ) -> Result<(), Collided> {
        let entry = self.codec.encode(SlotState::Mapped(frame, owner));
        for _ in 0..=HEALS {
            let seen = A::load(slot);
            // A fault can only have put scratch there: nobody else installs into a page that is claimed.
            if self.codec.decode(seen).is_vacant() && A::try_install(slot, seen, entry).is_ok() {
                return Ok(());
            }
            if context == Context::Any {
                return Err(Collided);
            }
            self.clear_scratch_in(PageRange::of(page, 1));
        }
        Err(Collided)
    }

    /// Looks at every slot; where scratch is found, takes it away and flushes once for all, or, where the caller may not
    /// wait, marks it and gives the claim up.
    fn clear_scratch(&self, pages: PageRange, context: Context) -> Result<(), Collided> {
        if !pages.numbers().any(|page| self.state(page) == SlotState::Scratch) {
            return Ok(());
        }
        if context == Context::MayWait {
            self.clear_scratch_in(pages);
            return Ok(());
        }
        self.mark_scratch(pages);
        self.maps.unclaim(pages);
        Err(Collided)
    }

    /// S3 for each of these claimed pages that holds scratch: clear the mark, take scratch away, then one shootdown. After it
    /// no TLB remembers the scratch page (I2), but a fault may have put it back.
    fn clear_scratch_in(&self, pages: PageRange) {
        self.next_batch();
        let mut stale: Option<(u32, u32)> = None;
        for page in pages.numbers() {
            self.maps.tainted.take_bit(self.maps.bit_of(page));
            let taken =
                self.slot(page).is_some_and(|slot| self.exchange(slot, SlotState::Scratch, SlotState::Vacant).is_ok());
            if taken {
                stale = Some((stale.map_or(page, |(first, _)| first), page));
            }
        }
        if let Some((first, last)) = stale {
            self.flush(&[self.page_addresses(first, last - first + 1)], FlushScope::Leaves);
        }
    }

    /// Marks those pages that hold scratch.
    fn mark_scratch(&self, pages: PageRange) {
        for page in pages.numbers().filter(|page| self.state(*page) == SlotState::Scratch) {
            self.maps.tainted.set_bit(self.maps.bit_of(page));
        }
    }

    /// Undoes an installation that failed at page `reached`: the pages before it are queued to be freed (S5), for their
    /// translation may have been used; the others are marked where they hold scratch, and given up.
    fn give_up(&self, pages: PageRange, reached: u32, owner: Owner) {
        let first = pages.first().number();
        for (word, mask) in masks(self.maps.bit_of(first), reached - first) {
            for bit in crate::pages::ones(mask) {
                let page = self.maps.page_of(word * 64 + bit);
                if let (Some(slot), SlotState::Mapped(frame, _)) = (self.slot(page), self.state(page)) {
                    // A wrong free of pages that were never handed out may have come first: then the exchange fails, or
                    // meets a page that was allocated again to the same owner meanwhile, and is that owner's wrong free (I6).
                    if self.exchange(slot, SlotState::Mapped(frame, owner), SlotState::Deferred(frame, owner)).is_ok() {
                        self.maps.deferred.set_bit(word * 64 + bit);
                    }
                }
            }
        }
        let rest = PageRange::of(reached, pages.count().get() - (reached - first));
        self.mark_scratch(rest);
        self.maps.unclaim(rest);
    }
}
