//! Housekeeping: what deferred frees left to do, and the healing of pages that hold scratch.

use crate::addr::{AddressRange, PAGE_BYTES, PageRange, WINDOW_PAGES};
use crate::arch::Arch;
use crate::arena::Arena;
use crate::arena::slots::batch::{Batch, Room};
use crate::arena::slots::claimed::Claimed;
use crate::arena::slots::few::Few;
use crate::arena::slots::transition::{finished, healed};
use crate::pages::runs;
use crate::platform::{FlushScope, PhysMap, Platform};
use crate::slot::SlotState;
use crate::sync::{AtomicU64, MemoryWord, Ordering};
use crate::tables::Tables;

/// What a [`reclaim`](Arena::reclaim) did.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Pages whose deferred free was finished: their frames are back, their numbers may be allocated again.
    pub freed_pages: u32,
    /// Pages, of the window or the guard, from which the scratch page was taken away.
    pub healed_pages: u32,
    /// Regions of 2 MiB outside the extent from which the scratch table was taken away.
    pub healed_regions: u32,
}

/// What a page was in whose slot a foreign word has been: translated, for all that is known, and not to a frame of ours.
const GONE: SlotState = SlotState::Foreign(!0);

/// Regions that are flushed at once.
const REGION_BATCH: usize = 16;

impl<P: Platform, A: Arch> Arena<P, A> {
    /// Finishes deferred frees, takes the scratch page away where it stands in (so that the next wild access there is seen
    /// again), and zeroes it. On a reserved page scratch stays until the page is freed or
    /// [allocated](crate::AllocRequest::in_reservation): there a violation is seen once a reservation. Pages in the middle of
    /// another operation are left for the next time.
    ///
    /// Deferred frees, scratched pages and regions are done one after the other, each with a shootdown for at most 64 pages or 16
    /// regions.
    ///
    /// Context: *may wait for a shootdown*; several CPUs may call it at once. It calls the frame source, and takes some 3 KiB
    /// of stack.
    pub fn reclaim(&self) -> Reclaimed {
        let freed_pages = self.finish_deferred();
        let (mut healed_pages, mut healed_regions) = (0, 0);
        // Whatever was scratched before this call is counted: where nothing is, no mark need be looked for, and nobody can
        // have written to the scratch page since it was zeroed, unless somebody else has healed a page.
        let marked = self.maps.tainted.any();
        if marked {
            healed_pages = self.heal_pages();
            healed_regions = self.heal_regions();
        }
        if self.maps.tainted.take_worn() || marked {
            self.zero_scratch_page();
        }
        Reclaimed { freed_pages, healed_pages, healed_regions }
    }

    /// Takes the queue's bits, word by word, and frees what they stand for as `free_pages` does.
    #[inline(never)] // Each of these has a batch of its own on the stack: one at a time.
    fn finish_deferred(&self) -> u32 {
        let foreign = self.shared.0.foreign.get();
        let mut freed = 0;
        if !self.maps.deferred.is_empty() {
            let mut batch = Batch::new(self, 0);
            self.maps.deferred.take_all(&mut |word, mask| {
                for (first, count) in runs(mask) {
                    let pages = PageRange::of(self.maps.page_of(word * 64 + first), count);
                    self.while_slots(pages, |page, slot| {
                        freed += u32::from(self.finish_one(slot, page, &mut batch));
                        true
                    });
                }
            });
        }
        if let Some(page) = foreign.filter(|page| !self.is_foreign(page.number())) {
            self.shared.0.foreign.forget(page);
        }
        freed
    }

    /// S4 for a page whose queue bit we took: nobody else may change its slot. Whether it was freed.
    fn finish_one(&self, slot: &AtomicU64, page: u32, batch: &mut Batch<'_, P, A>) -> bool {
        let mut room = batch.room();
        let word = A::load(slot);
        if let Some((frame, owner)) = self.codec.queued(word) {
            if A::compare_exchange(slot, word, room.vacated()).is_ok() {
                room.owe(self.won_back(page), SlotState::Deferred(frame, owner));
                return true;
            }
        }
        self.finish_whatever_it_is(slot, page, room)
    }

    #[cold]
    #[inline(never)]
    fn finish_whatever_it_is(&self, slot: &AtomicU64, page: u32, mut room: Room<'_, '_, P, A>) -> bool {
        match self.transition(slot, &mut |seen| finished(seen, || room.tag())) {
            Ok(was) => {
                room.owe_whatever(self.won_back(page), was);
                return true;
            }
            Err(SlotState::Foreign(_)) => self.set_aside_foreign(page),
            // It was set aside, and the foreign word is gone. What it led to may be remembered.
            Err(SlotState::Vacant | SlotState::Vacated(_) | SlotState::Scratch) => {
                room.owe_whatever(self.won_back(page), GONE);
            }
            // Somebody else has made it a page of ours.
            Err(_) => {}
        }
        false
    }

    /// Heals what is marked, of the extent's leaf tables and of the guard's.
    #[inline(never)]
    fn heal_pages(&self) -> u32 {
        let mut batch = Batch::new(self, 0);
        let mut healed = 0;
        for bit in self.maps.tainted.pages().bits().ones() {
            let of_extent = self.maps.in_extent(bit);
            healed +=
                u32::from(if of_extent { self.heal(bit, &mut batch) } else { self.heal_unclaimed(bit, &mut batch) });
        }
        healed
    }

    /// Heals a page of the extent: it is claimed first, for an allocation might be on its way there.
    fn heal(&self, bit: u32, batch: &mut Batch<'_, P, A>) -> bool {
        let single = PageRange::of(self.maps.page_of(bit), 1);
        if self.maps.claim(single).is_err() {
            return false;
        }
        let claimed = Claimed::new(&self.maps, single);
        let room = batch.room();
        let Some(was) = self.take_scratch(self.slot(single.first().number()), bit) else {
            return false;
        };
        room.owe_whatever(claimed, was);
        true
    }

    /// Heals a slot that is nobody's to claim.
    fn heal_unclaimed(&self, bit: u32, batch: &mut Batch<'_, P, A>) -> bool {
        let (slot, page) = match bit.checked_sub(self.maps.guard_bits_start()) {
            Some(number) => (self.tables.guard_slot(&self.platform, number), WINDOW_PAGES + number),
            None => (self.slot(self.maps.page_of(bit)), self.maps.page_of(bit)),
        };
        let room = batch.room();
        let Some(was) = self.take_scratch(slot, bit) else {
            return false;
        };
        room.owe_unclaimed(page, was);
        true
    }

    /// S3: clear the mark, then take scratch away. In this order, a fault that comes between leaves either the scratch that we
    /// take or a mark of its own.
    #[inline(never)]
    fn take_scratch(&self, slot: Option<&AtomicU64>, bit: u32) -> Option<SlotState> {
        let slot = slot?;
        self.maps.tainted.unmark_page(bit);
        self.transition(slot, &mut healed).ok()
    }

    /// Unlinks the scratch table wherever it is linked, in the same order, and flushes whole regions, tables included.
    #[inline(never)]
    fn heal_regions(&self) -> u32 {
        let mut healed = 0;
        let mut unlinked = Few::<AddressRange, REGION_BATCH>::new();
        for region in self.maps.tainted.regions().ones() {
            self.maps.tainted.unmark_region(region);
            let Some(entry) = self.tables.region_entry(&self.platform, region) else {
                continue;
            };
            if !self.unlink_scratch(entry) {
                continue;
            }
            let pages = Tables::<A>::LEAF_PAGES;
            unlinked.push(self.page_addresses(region * pages, pages));
            healed += 1;
            if unlinked.is_full() {
                self.flush(unlinked.take(), FlushScope::Tables);
            }
        }
        self.flush(unlinked.take(), FlushScope::Tables);
        healed
    }

    /// Takes a link to the scratch table away, whatever others set in its word meanwhile, for its mark is gone. Whether there
    /// was one.
    fn unlink_scratch(&self, entry: &AtomicU64) -> bool {
        let mut word = A::load(entry);
        while self.tables.is_scratch_link(word) {
            match A::compare_exchange(entry, word, 0) {
                Ok(()) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Zeroes the scratch page, word by word, atomically: another `reclaim` may be doing the same, and wild accesses, which
    /// see either.
    fn zero_scratch_page(&self) {
        let first = self.platform.phys_map().frame_to_ptr(self.tables.scratch_page()).cast::<u64>();
        for word in 0..PAGE_BYTES / size_of::<u64>() {
            // SAFETY: the scratch page has 512 words, the first at `first`.
            let word = unsafe { first.add(word) };
            // SAFETY: the page is the arena's for as long as the arena lives, and nothing in the kernel refers to it but these
            // atomics and wild accesses.
            let word = unsafe { MemoryWord::from_ptr(word.as_ptr()) };
            word.store(0, Ordering::Relaxed);
        }
    }
}
