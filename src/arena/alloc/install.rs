//! Putting frames into slots that were claimed.

use super::frames::FrameChain;
use crate::addr::PageRange;
use crate::arch::Arch;
use crate::arena::slots::claimed::Claimed;
use crate::arena::slots::transition::{healed, installed, queued};
use crate::arena::{AllocRequest, Arena, Context, Placement};
use crate::platform::{FlushScope, Frame, Platform};
use crate::slot::{Owner, SlotCodec, SlotState};
use crate::sync::AtomicU64;

/// How often an allocation heals one of its pages again that faults keep scratching meanwhile.
const HEALS: u32 = 4;

/// What was found where a page was to go. Frames that were not used are still in the chain.
#[derive(Debug)]
pub(super) enum Collided {
    /// A fault put the scratch page there.
    Scratch,
    /// Somebody else has written to the slot. The page is set aside.
    Foreign,
}

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Installs frames of `chain` into claimed pages (S2): all of them, or none that anybody will see. In vain, the pages are
    /// given up, or reserved again where that is what they were.
    pub(super) fn install(
        &self,
        mut claimed: Claimed<'_>,
        chain: &mut FrameChain<'_, P>,
        request: &AllocRequest,
    ) -> Result<PageRange, Collided> {
        let pages = claimed.pages();
        let Err(collided) = self.install_all(&mut claimed, chain, request) else {
            A::publish_and_sync();
            return Ok(pages);
        };
        self.undo(pages, claimed, request);
        Err(collided)
    }

    /// What becomes of pages that were not all installed, from where `claimed` begins.
    #[cold]
    #[inline(never)]
    fn undo(&self, pages: PageRange, claimed: Claimed<'_>, request: &AllocRequest) {
        match request.placement {
            Placement::Reserved(_) => self.set_aside_again(pages, claimed, request),
            Placement::Anywhere { .. } | Placement::Exactly(_) => self.give_up(pages, claimed, request.owner),
        }
    }

    /// Hands each page out as it is installed.
    fn install_all(
        &self,
        claimed: &mut Claimed<'_>,
        chain: &mut FrameChain<'_, P>,
        request: &AllocRequest,
    ) -> Result<(), Collided> {
        self.clear_scratch(claimed.pages(), request.context)?;
        // Most often nothing comes between, and each slot is still vacant.
        self.while_slots(claimed.pages(), |_, slot| {
            let installed = self.install_at_once(chain, slot, request.owner);
            if installed {
                claimed.hand_out_first();
            }
            installed
        });
        if claimed.pages().is_empty() { Ok(()) } else { self.install_rest(claimed, chain, request) }
    }

    /// The same for what could not be installed at once.
    #[cold]
    #[inline(never)]
    fn install_rest(
        &self,
        claimed: &mut Claimed<'_>,
        chain: &mut FrameChain<'_, P>,
        request: &AllocRequest,
    ) -> Result<(), Collided> {
        for page in claimed.pages().numbers() {
            self.install_from(chain, page, request.owner, request.context)?;
            claimed.hand_out_first();
        }
        Ok(())
    }

    /// S2 for one page whose slot is vacant, tried once: whether it was, and is a page now.
    #[inline(always)]
    fn install_at_once(&self, chain: &mut FrameChain<'_, P>, slot: &AtomicU64, owner: Owner) -> bool {
        let Some(frame) = chain.pop() else { return false };
        let installed = self.put_mapped(slot, frame, owner);
        if !installed {
            chain.put_back(frame);
        }
        installed
    }

    /// S2 for one page with a frame of `chain`, which goes back there if it cannot be installed.
    fn install_from(
        &self,
        chain: &mut FrameChain<'_, P>,
        page: u32,
        owner: Owner,
        context: Context,
    ) -> Result<(), Collided> {
        let slot = self.slot(page).ok_or(Collided::Foreign)?;
        let frame = chain.pop().ok_or(Collided::Scratch)?;
        self.install_one(slot, page, frame, owner, context).inspect_err(|_| chain.put_back(frame))
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
        let heals = if context == Context::Any { 0 } else { HEALS };
        for _ in 0..=heals {
            // A fault can only have put scratch there: nobody else of ours installs into a page that is claimed.
            match self.transition(slot, &mut |seen| installed(seen, frame, owner)) {
                Ok(_) => return Ok(()),
                Err(SlotState::Foreign(_)) => return Err(Collided::Foreign),
                Err(_) if context == Context::Any => break,
                Err(_) => self.clear_scratch_in(PageRange::of(page, 1)),
            }
        }
        Err(Collided::Scratch)
    }

    /// Looks at every slot; most often all are vacant. Where scratch is found, takes it away and flushes once for all, or,
    /// where the caller may not wait, fails. It fails where somebody else has written to a slot.
    fn clear_scratch(&self, pages: PageRange, context: Context) -> Result<(), Collided> {
        let vacant = self.while_slots(pages, |_, slot| SlotCodec::<A>::is_vacant(A::load(slot)));
        if vacant == pages.count().get() { Ok(()) } else { self.clear_what_is_there(pages, context) }
    }

    #[cold]
    #[inline(never)]
    fn clear_what_is_there(&self, pages: PageRange, context: Context) -> Result<(), Collided> {
        let mut scratched = false;
        for page in pages.numbers() {
            match self.state(page) {
                SlotState::Scratch => scratched = true,
                SlotState::Foreign(_) => return Err(Collided::Foreign),
                _ => {}
            }
        }
        if !scratched {
            return Ok(());
        }
        if context == Context::Any {
            return Err(Collided::Scratch);
        }
        self.clear_scratch_in(pages);
        Ok(())
    }

    /// S3 for each of these claimed pages that holds scratch: clear the mark, take scratch away, then one shootdown. After it
    /// no TLB remembers the scratch page (I2), but a fault may have put it back.
    #[inline(never)]
    fn clear_scratch_in(&self, pages: PageRange) {
        let mut stale: Option<(u32, u32)> = None;
        for page in pages.numbers() {
            self.maps.tainted.unmark_page(self.maps.bit_of(page));
            if self.slot(page).is_some_and(|slot| self.transition(slot, &mut healed).is_ok()) {
                stale = Some((stale.map_or(page, |(first, _)| first), page));
            }
        }
        if let Some((first, last)) = stale {
            self.flush(&[self.page_addresses(first, last - first + 1)], FlushScope::Leaves);
            self.maps.tainted.note_worn();
        }
    }

    /// Marks those pages that hold scratch.
    fn mark_scratch(&self, pages: PageRange) {
        for page in pages.numbers().filter(|page| self.state(*page) == SlotState::Scratch) {
            self.maps.tainted.mark_page(self.maps.bit_of(page));
        }
    }

    /// Undoes an installation of `pages` that failed where `rest` begins: the pages before are queued to be freed, for their
    /// translation may have been used; the others are marked where they hold scratch, and given up, but for the first that
    /// holds a foreign word, which is set aside.
    fn give_up(&self, pages: PageRange, rest: Claimed<'_>, owner: Owner) {
        for page in pages.first().number()..rest.pages().first().number() {
            self.queue(page, owner);
        }
        self.mark_scratch(rest.pages());
        if let Some(page) = self.first_foreign(rest.pages()) {
            self.give_up_foreign(rest, page);
        }
    }

    /// S5 for a page that was installed but not handed out. A wrong free of it may have come first: then there is nothing to
    /// queue, or a page that was allocated again to the same owner meanwhile, and this is that owner's wrong free (I6).
    #[inline(never)]
    pub(in crate::arena) fn queue(&self, page: u32, owner: Owner) {
        if self.slot(page).is_some_and(|slot| self.transition(slot, &mut |seen| queued(seen, owner)).is_ok()) {
            self.maps.deferred.put_bit(self.maps.bit_of(page));
        }
    }
}
