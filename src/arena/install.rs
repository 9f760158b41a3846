//! Putting frames into slots that were claimed.

use super::claimed::Claimed;
use super::frames::FrameChain;
use super::transition::{healed, installed, queued};
use super::{Arena, Context};
use crate::addr::PageRange;
use crate::arch::Arch;
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
        mut claimed: Claimed<'_>,
        chain: &mut FrameChain<'_, P>,
        owner: Owner,
        context: Context,
    ) -> Result<PageRange, Collided> {
        let pages = claimed.pages();
        self.clear_scratch(&claimed, context)?;
        for page in pages.numbers() {
            if self.install_from(chain, page, owner, context).is_err() {
                self.give_up(pages, claimed, owner);
                return Err(Collided);
            }
            claimed.hand_out_first();
        }
        A::publish_and_sync();
        Ok(pages)
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
        for _ in 0..=HEALS {
            // A fault can only have put scratch there: nobody else installs into a page that is claimed.
            if self.transition(slot, |seen| installed(seen, frame, owner)).is_ok() {
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
    /// wait, marks it and fails.
    fn clear_scratch(&self, claimed: &Claimed<'_>, context: Context) -> Result<(), Collided> {
        let pages = claimed.pages();
        if !pages.numbers().any(|page| self.state(page) == SlotState::Scratch) {
            return Ok(());
        }
        if context == Context::MayWait {
            self.clear_scratch_in(pages);
            return Ok(());
        }
        self.mark_scratch(pages);
        Err(Collided)
    }

    /// S3 for each of these claimed pages that holds scratch: clear the mark, take scratch away, then one shootdown. After it
    /// no TLB remembers the scratch page (I2), but a fault may have put it back.
    fn clear_scratch_in(&self, pages: PageRange) {
        let mut stale: Option<(u32, u32)> = None;
        for page in pages.numbers() {
            self.maps.tainted.take_bit(self.maps.bit_of(page));
            if self.slot(page).is_some_and(|slot| self.transition(slot, healed).is_ok()) {
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

    /// Undoes an installation of `pages` that failed where `rest` begins: the pages before are queued to be freed (S5), for
    /// their translation may have been used; the others are marked where they hold scratch, and given up.
    fn give_up(&self, pages: PageRange, rest: Claimed<'_>, owner: Owner) {
        let first = pages.first().number();
        for page in first..rest.pages().first().number() {
            // A wrong free of pages that were never handed out may have come first: then there is nothing to queue, or a page
            // that was allocated again to the same owner meanwhile, and this is that owner's wrong free (I6).
            if self.slot(page).is_some_and(|slot| self.transition(slot, |seen| queued(seen, owner)).is_ok()) {
                self.maps.deferred.set_bit(self.maps.bit_of(page));
            }
        }
        self.mark_scratch(rest.pages());
    }
}
