//! Slots whose translation was just taken away, and what is owed for them: one shootdown, then their frames, then their
//! numbers.
//!
//! A batch holds at most 64 pages in a fixed array, on the stack: a freed frame's own memory is never used to chain it, since
//! until the shootdown a stale writer may still reach it. Dropping a batch settles it, so the debt cannot be forgotten; the
//! order inside is I2 and I5: flush, frames, un-claim. Before a number is un-claimed, where break-before-make is demanded, what was
//! vacated becomes vacant (S7).

use core::mem;

use super::claimed::Claimed;
use super::few::Few;
use super::transition::settle;
use crate::addr::{AddressRange, PageRange};
use crate::arch::Arch;
use crate::arena::Arena;
use crate::pages::GivingBack;
use crate::platform::{FlushScope, Frame, FrameSource, Platform};
use crate::slot::{SlotState, Tag};

/// Pages of a batch.
const BATCH_PAGES: usize = 64;

/// What is owed for one page.
#[derive(Clone, Copy)]
struct Owed {
    page: u32,
    frame: Option<Frame>,
    number: Number,
}

/// What becomes of a page's number in the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    /// It is un-claimed.
    Owed,
    /// The same, and after the flush it is noted that scratch was there, since nothing else will tell `reclaim`.
    OwedWithScratch,
    /// Nothing: it is nobody's to claim, or somebody keeps it.
    Kept,
}

/// A debt of at most [`BATCH_PAGES`] pages.
pub(in crate::arena) struct Batch<'a, P: Platform, A: Arch> {
    arena: &'a Arena<P, A>,
    owed: Few<Owed, BATCH_PAGES>,
    /// What to flush, pages that follow one another together: no more ranges than pages, so there is room.
    stale: Few<AddressRange, BATCH_PAGES>,
    /// The batch's tag, the same for all its pages, and the word that has it: 0 as long as nothing was vacated.
    tag: Tag,
    vacated: u64,
    /// From before the first slot is taken until the last number is un-claimed. Dropped after the batch is settled.
    giving_back: GivingBack<'a>,
}

/// Room for one page in a batch, made before the page's slot is changed.
pub(in crate::arena) struct Room<'b, 'a, P: Platform, A: Arch>(&'b mut Batch<'a, P, A>);

impl<'a, P: Platform, A: Arch> Batch<'a, P, A> {
    /// None is owed, of pages of which one may be `near`. Inlined, so that it is made where it stays.
    #[inline(always)]
    pub(in crate::arena) fn new(arena: &'a Arena<P, A>, near: u32) -> Self {
        let giving_back = arena.maps.batch(near);
        Self { arena, owed: Few::new(), stale: Few::new(), tag: Tag::of_batch(0), vacated: 0, giving_back }
    }

    /// Room for one page more: a full batch is settled first.
    pub(in crate::arena) fn room(&mut self) -> Room<'_, 'a, P, A> {
        if self.owed.is_full() {
            self.settle();
        }
        Room(self)
    }

    fn add_stale(&mut self, page: u32) {
        let page = self.arena.page_addresses(page, 1);
        match self.stale.last_mut() {
            Some(last) if last.start().value().wrapping_add(last.size_bytes()) == page.start().value() => {
                *last = AddressRange::new(last.start(), last.size_bytes() + page.size_bytes());
            }
            _ => self.stale.push(page),
        }
    }

    /// Pays: one shootdown for all, then frames back, then numbers.
    ///
    /// The batch is forgotten before anything is called. A platform that unwinds, which its contract forbids, costs what the batch
    /// held, but nothing is paid twice: the frames and numbers are lost until the arena is destroyed, or for good.
    #[inline(never)]
    fn settle(&mut self) {
        let vacated = mem::take(&mut self.vacated);
        let stale = self.stale.take();
        let owed = self.owed.take();
        if owed.is_empty() {
            return;
        }
        self.arena.flush_by(self.giving_back.shootdowns(), stale, FlushScope::Leaves);
        for owed in owed {
            if let Some(frame) = owed.frame {
                // SAFETY: the exchange that took it from its slot was the right to free it, and the flush above was the last
                // that anybody saw of it.
                unsafe { self.arena.platform.frames().free(frame) };
            } else {
                note_if_worn(self.arena, owed.number);
            }
        }
        unclaim_runs(self.arena, owed, vacated);
    }
}

/// After the flush of a page that has no frame.
#[cold]
#[inline(never)]
fn note_if_worn<P: Platform, A: Arch>(arena: &Arena<P, A>, number: Number) {
    if number == Number::OwedWithScratch {
        arena.maps.tainted.note_worn();
    }
}

/// Un-claims pages that follow one another together. Those whose slots hold this word, if it is one, become vacant before.
fn unclaim_runs<P: Platform, A: Arch>(arena: &Arena<P, A>, owed: &[Owed], vacated: u64) {
    let follows = |a: &Owed, b: &Owed| a.number == b.number && a.page + 1 == b.page;
    for run in owed.chunk_by(follows).filter(|run| run[0].number != Number::Kept) {
        let count = run[run.len() - 1].page - run[0].page + 1;
        let pages = PageRange::of(run[0].page, count);
        if A::BREAK_BEFORE_MAKE && vacated != 0 {
            arena.while_slots(pages, |_, slot| {
                settle::<A>(slot, vacated);
                true
            });
        }
        arena.maps.unclaim(pages);
    }
}

impl<P: Platform, A: Arch> Room<'_, '_, P, A> {
    /// The word of what is vacated in this batch.
    #[inline]
    pub(in crate::arena) fn vacated(&mut self) -> u64 {
        if !A::BREAK_BEFORE_MAKE {
            return self.0.arena.codec.encode(SlotState::Vacated(self.0.tag));
        }
        if self.0.vacated == 0 {
            self.0.tag = self.0.arena.next_tag();
            self.0.vacated = self.0.arena.codec.encode(SlotState::Vacated(self.0.tag));
        }
        self.0.vacated
    }

    /// Its tag.
    pub(in crate::arena) fn tag(&mut self) -> Tag {
        self.vacated();
        self.0.tag
    }

    /// Adds a claimed page whose slot was in state `was`: its translation is to be flushed, if it had one, its frame to be
    /// given back, its number to be un-claimed.
    pub(in crate::arena) fn owe(self, claimed: Claimed<'_>, was: SlotState) {
        let page = claimed.owe().first().number();
        let with_scratch = matches!(was, SlotState::ScratchOverReserved(_));
        let number = if with_scratch { Number::OwedWithScratch } else { Number::Owed };
        self.add(Owed { page, frame: was.frame(), number }, was);
    }

    /// The same beside the paths that are hot.
    #[inline(never)]
    pub(in crate::arena) fn owe_whatever(self, claimed: Claimed<'_>, was: SlotState) {
        self.owe(claimed, was);
    }

    /// Adds a page whose number is not the batch's to un-claim, because nobody claims it (then it may be the upper guard's,
    /// numbered on from the window's end) or because somebody keeps it. Its slot was in state `was`.
    #[inline(never)]
    pub(in crate::arena) fn owe_unclaimed(self, page: u32, was: SlotState) {
        self.add(Owed { page, frame: was.frame(), number: Number::Kept }, was);
    }

    fn add(self, owed: Owed, was: SlotState) {
        let batch = self.0;
        batch.owed.push(owed);
        if was.is_present() {
            batch.add_stale(owed.page);
        }
    }
}

impl<P: Platform, A: Arch> Drop for Batch<'_, P, A> {
    fn drop(&mut self) {
        self.settle();
    }
}
