//! Housekeeping for the fault path: vacated words whose flush is over become vacant (S7).
//!
//! Where the architecture demands break-before-make, a fault on a vacated word flushes the page in every view before it
//! installs the scratch page, for it cannot know whether the free that left the word has done so yet. Without this, each page
//! that was ever freed would cost a broadcast at its next wild access.
//!
//! Nothing is claimed for it. The word is read first and the number asked for after (both Acquire): whoever vacated the word
//! held the number then, and un-claims after its flush (I5), so a number that is free shows that the word is settled. The
//! exchange is from the very word that was read, whose tag no later batch uses, so it fails if the slot was used meanwhile.
//! An allocation or a reservation that has claimed the number since finds one vacant word in place of another.

use crate::arch::Arch;
use crate::arena::Arena;
use crate::platform::Platform;
use crate::slot::{SlotCodec, SlotState};

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Settles what was vacated since the last time: it looks at the pages of those words of the map that frees have noted.
    /// Pages that an operation holds stay as they are.
    pub(super) fn settle_vacated(&self) {
        if !A::BREAK_BEFORE_MAKE {
            return;
        }
        self.maps.take_unsettled(|bit| {
            if self.maps.in_extent(bit) {
                self.settle(self.maps.page_of(bit));
            }
        });
    }

    /// S7: one attempt.
    fn settle(&self, page: u32) {
        let Some(slot) = self.slot(page) else { return };
        let word = A::load(slot);
        let vacant = self.codec.encode(SlotState::Vacant);
        if word != vacant && SlotCodec::<A>::is_vacant(word) && !self.maps.is_claimed(page) {
            // Whoever came first has used the slot, and it is not vacated any more, or not by that batch.
            let _used = A::compare_exchange(slot, word, vacant);
        }
    }
}
