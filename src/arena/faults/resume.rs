//! Faults of accesses that stop where there is no page, and which pages are none to them.
//!
//! Such an access comes by an instruction that the architecture knows ([`Arch::resume_point`]). Where there is no page, the
//! fault path installs nothing and records nothing: it says where the access goes on, which is its way out.
//!
//! A page that holds scratch has a translation, so the processor would not fault. To an access that stops it is a hole all the
//! same, so it asks before whether any page is marked: that is one load more. Only if there are marks it looks for the
//! page's own, and only if that is set the slot decides. The mark may lag
//! behind, for it is set after the slot was scratched and cleared before the slot is healed: an access that *comes at the same
//! time* as the scratching or the healing of that very page may see what the scratch page holds, or store to it, as one of the
//! other flavour would. One that comes after them, in the order that happens-before has, never does: whoever scratched set the
//! mark before it went on.
//!
//! A copy has two sides. Where the kernel's own is a buffer in a private arena, a page that is missing there is not the hole that
//! the caller asked about: such a fault is recovered as a wild access of the kernel's, and the copy goes on.

use super::recover::Place;
use crate::arch::Arch;
use crate::arena::Arena;
use crate::fault::{Fault, FaultOutcome, InstructionAddr};
use crate::platform::Platform;
use crate::slot::SlotState;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Answers a fault of an access that stops. One look: were it taken for a page and then freed, the next look might
    /// install scratch for an access that must leave none.
    #[cold]
    pub(in crate::arena) fn stop(&self, to: InstructionAddr, fault: &Fault, offset: u64) -> FaultOutcome {
        let Some(place) = self.place(offset) else { return FaultOutcome::NotOurs };
        let cpu = self.cpu();
        match self.seen_at(&place) {
            Seen::Hole => {
                self.row(cpu).end();
                FaultOutcome::Resume(to)
            }
            Seen::Page => self.spurious(fault, offset, cpu),
            Seen::Foreign => FaultOutcome::NotOurs,
        }
    }

    fn seen_at(&self, place: &Place<'_>) -> Seen {
        match place {
            Place::Slot(slot, ..) => match self.codec.decode(A::load(slot)) {
                state @ SlotState::Foreign(_) if !state.is_present() => Seen::Foreign,
                SlotState::Mapped(..) | SlotState::Deferred(..) | SlotState::Foreign(_) => Seen::Page,
                SlotState::Vacant
                | SlotState::Vacated(_)
                | SlotState::Reserved(_)
                | SlotState::Scratch
                | SlotState::ScratchOverReserved(_) => Seen::Hole,
            },
            Place::Region(entry, _) => match A::load(entry) {
                0 => Seen::Hole,
                word if self.tables.is_scratch_link(word) => Seen::Hole,
                _ => Seen::Foreign,
            },
        }
    }
}

/// What an access that stops finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// No translation, or scratch.
    Hole,
    /// A page.
    Page,
    /// A word of somebody else's, without a translation.
    Foreign,
}

/// What accesses ask before they come to a page.
#[cfg(feature = "zerocopy")]
impl<P: Platform, A: Arch> Arena<P, A> {
    /// Whether any page may hold scratch.
    #[inline(always)]
    pub(crate) fn may_hold_scratch(&self) -> bool {
        self.maps.tainted.any()
    }

    /// Whether the page with the byte at this offset from the window's start may hold scratch, and does. Relaxed: see above;
    /// the slot is read with Acquire.
    #[inline(always)]
    pub(crate) fn holds_scratch(&self, offset: u64) -> bool {
        self.is_marked(offset) && self.is_hole(offset)
    }

    /// Whether there is neither a page nor anything of somebody else's.
    #[cold]
    pub(crate) fn is_hole(&self, offset: u64) -> bool {
        self.place(offset).is_none_or(|place| self.seen_at(&place) == Seen::Hole)
    }

    #[inline(always)]
    fn is_marked(&self, offset: u64) -> bool {
        use crate::addr::{PAGE_SHIFT, WINDOW_PAGES};
        use crate::sync::Ordering;

        let page = (offset >> PAGE_SHIFT & 0xffff_ffff) as u32;
        let (built, tainted) = (self.tables.built(), &self.maps.tainted);
        if built.contains(&page) {
            tainted.pages().bits().test(self.maps.bit_of(page), Ordering::Relaxed)
        } else if page < WINDOW_PAGES {
            tainted.regions().test(page >> A::TABLE_SHIFT, Ordering::Relaxed)
        } else {
            tainted.pages().bits().test(self.maps.guard_bit(page - WINDOW_PAGES), Ordering::Relaxed)
        }
    }
}
