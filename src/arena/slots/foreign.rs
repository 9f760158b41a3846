//! Words in slots that are not the arena's.
//!
//! Nobody but the arena may write to its tables, but kernels do: one that maps pages on demand maps one of its own
//! where it should have asked the arena, a mapper is given an address of the window. Such a word is never overwritten.
//! A page whose slot holds one is *set aside* as soon as an allocation or a reservation meets it: its number stays
//! claimed, so that the next search passes it over and finds what is free, and its queue bit is set, so that `reclaim`
//! looks at it. When the word is gone, `reclaim` flushes the page, whatever it was that was mapped there, and un-claims
//! its number.
//!
//! A page that is queued without being deferred is one of these: nothing else sets a queue bit before its slot is deferred.

use super::claimed::Claimed;
use crate::addr::{PageIndex, PageRange};
use crate::arch::Arch;
use crate::arena::Arena;
use crate::platform::Platform;
use crate::slot::{SlotCodec, SlotState};
use crate::sync::{Figure, Ordering};

/// The page at which a foreign word was last found, to be named in errors: its number and 1, or 0. Relaxed: it is a hint.
#[derive(Debug)]
pub(in crate::arena) struct LastForeign(Figure);

impl LastForeign {
    pub(in crate::arena) fn new() -> Self {
        Self(Figure::new(0))
    }

    pub(in crate::arena) fn set(&self, page: u32) {
        self.0.store(u64::from(page) + 1, Ordering::Relaxed);
    }

    #[inline]
    pub(in crate::arena) fn get(&self) -> Option<PageIndex> {
        let number = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        PageIndex::new(u32::try_from(number).ok()?)
    }

    /// Forgets this page, if no other was found since.
    pub(in crate::arena) fn forget(&self, page: PageIndex) {
        let seen = u64::from(page.number()) + 1;
        // Another was found meanwhile: it stays.
        let _ = self.0.compare_exchange(seen, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl<P: Platform, A: Arch> Arena<P, A> {
    #[inline(never)]
    pub(in crate::arena) fn is_foreign(&self, page: u32) -> bool {
        let Some(slot) = self.slot(page) else { return true };
        let word = A::load(slot);
        // Most often nothing is there.
        !SlotCodec::<A>::is_vacant(word) && matches!(self.state_of(word), SlotState::Foreign(_))
    }

    /// The first of these pages whose slot holds a foreign word.
    pub(in crate::arena) fn first_foreign(&self, pages: PageRange) -> Option<PageIndex> {
        pages.pages().find(|page| self.is_foreign(page.number()))
    }

    /// Gives up claimed pages, of which this one was found to hold a foreign word: it is set aside, if it still does.
    #[cold]
    pub(in crate::arena) fn give_up_foreign(&self, claimed: Claimed<'_>, page: PageIndex) {
        drop(claimed);
        let single = PageRange::of(page.number(), 1);
        // If it is taken, somebody else has met it, or uses it, for the word is gone.
        if self.maps.claim(single).is_ok() {
            let claimed = Claimed::new(&self.maps, single);
            if self.is_foreign(page.number()) {
                self.set_aside_foreign(claimed.owe().first().number());
            }
        }
    }

    /// Queues a page whose number stays claimed, until its foreign word is gone.
    #[cold]
    pub(in crate::arena) fn set_aside_foreign(&self, page: u32) {
        self.shared.0.foreign.set(page);
        self.maps.deferred.put_bit(self.maps.bit_of(page));
    }
}
