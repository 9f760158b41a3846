//! The depot of a class: a stack of full magazines and one of empty ones. Who takes a magazine off has it alone.

use core::ptr;

use super::Slab;
use super::class::ClassState;
use super::classes::SizeClass;
use super::header::{Description, Header, WORD_OBJECTS};
use super::magazine::Magazine;
use crate::source::{MetadataSource, PageSource};
use crate::sync::{AtomicU32, Ordering};
use crate::{Misuse, PAGE_SHIFT};

/// Objects that are looked up together.
const BATCH: usize = 16;

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// A full magazine, and whether it was one of the [surplus](Self::surplus).
    pub(super) fn take_full(&self, class: &ClassState, number: SizeClass) -> Option<(&Magazine, bool)> {
        let index = class.full.pop(&self.tables().magazines)?;
        let was_surplus = self.count_one_less(class, number);
        Some((self.tables().magazines.get(index)?, was_surplus))
    }

    /// Full magazines, as many as there are at this moment: whoever stores more meanwhile keeps nobody here.
    fn stored<'a>(&'a self, state: &'a ClassState, class: SizeClass) -> impl Iterator<Item = &'a Magazine> {
        let count = state.stored.load(Ordering::Relaxed);
        (0..count).map_while(move |_| self.take_full(state, class).map(|(magazine, _)| magazine))
    }

    /// Stores a full magazine, if there is room.
    pub(super) fn store_full(&self, class: &ClassState, number: SizeClass, magazine: &Magazine) -> bool {
        // Counted first: several at once may find the room taken, none stores too much.
        if class.stored.fetch_add(1, Ordering::Relaxed) >= number.depot_magazines() {
            let bytes = number.surplus_bytes();
            if self.surplus().fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > self.most_surplus {
                self.count_one_less(class, number);
                return false;
            }
        }
        class.full.push(magazine.index(), &self.tables().magazines);
        true
    }

    /// Bytes that depots keep beyond what each may for itself. Who counts a magazine up from there, or from above, adds it
    /// to them, and who counts one down to there, or to above, takes it off, so that at rest they are exact. In
    /// between they may be too high, or, where a magazine went before its bytes came, below 0, which is very high: then some
    /// magazine is not kept.
    fn surplus(&self) -> &AtomicU32 {
        &self.tables().surplus.0
    }

    /// Counts a magazine that is in the depot no more; says whether it was one of the surplus.
    fn count_one_less(&self, class: &ClassState, number: SizeClass) -> bool {
        let was_surplus = class.stored.fetch_sub(1, Ordering::Relaxed) > number.depot_magazines();
        if was_surplus {
            self.surplus().fetch_sub(number.surplus_bytes(), Ordering::Relaxed);
        }
        was_surplus
    }

    /// An empty magazine: a used one, else a new one, if there is memory for it.
    pub(super) fn take_empty(&self, class: &ClassState, number: SizeClass) -> Option<&Magazine> {
        if let Some(index) = class.empty.pop(&self.tables().magazines) {
            return self.tables().magazines.get(index);
        }
        let magazine = self.tables().magazines.get(self.tables().magazines.take(&self.metadata)?)?;
        magazine.set_capacity(number.magazine_objects());
        Some(magazine)
    }

    /// Stores an empty magazine.
    pub(super) fn store_empty(&self, class: &ClassState, magazine: &Magazine) {
        class.empty.push(magazine.index(), &self.tables().magazines);
    }

    /// Stores a magazine that is in the caller's hands, whatever is in it: a full one among the full ones, if there is room,
    /// any other among the empty ones, its objects having gone to their slabs. The dummy stays where it is.
    pub(super) fn put_away(&self, state: &ClassState, class: SizeClass, magazine: &Magazine) {
        if magazine.is_dummy() || magazine.room() == 0 && self.store_full(state, class, magazine) {
            return;
        }
        self.flush(class, magazine);
        self.store_empty(state, magazine);
    }

    /// Puts all objects of a magazine back into their slabs: neighbours of the same word with one atomic operation.
    ///
    /// In batches: first all are looked up, then all are put back, for a locked operation keeps the loads behind it
    /// waiting.
    pub(super) fn flush(&self, class: SizeClass, magazine: &Magazine) {
        let count = magazine.count();
        if count == 0 {
            return;
        }
        self.count_in(class, count);
        let mut batch = [None; BATCH];
        loop {
            let mut filled = 0;
            for (place, offset) in batch.iter_mut().zip(core::iter::from_fn(|| magazine.pop())) {
                *place = self.place(class, offset);
                filled += 1;
            }
            self.put_all(&batch[..filled]);
            if filled < BATCH {
                return;
            }
        }
    }

    /// Where an object of this class belongs.
    #[inline]
    fn place(&self, class: SizeClass, offset: u32) -> Option<Place<'_>> {
        let found = self.tables().map.get(offset >> PAGE_SHIFT).and_then(|header| {
            let slab = header.description()?;
            Some(Place { header, slab, object: slab.object_of(class, offset)? })
        });
        if found.is_none() {
            // Somebody freed what was never an object. It was counted with those that go back.
            self.count_out(class, 1);
            self.misuse(offset, Misuse::NoObjects);
        }
        found
    }

    /// Holding the objects pins their slabs, from the look-up until they are put back.
    fn put_all(&self, places: &[Option<Place<'_>>]) {
        let mut places = places.iter().flatten().peekable();
        while let Some(place) = places.next() {
            let mut objects = place.bit();
            while let Some(next) = places.next_if(|next| next.is_beside(place)) {
                if objects & next.bit() != 0 {
                    self.was_there(next.slab, next.object);
                }
                objects |= next.bit();
            }
            self.put_back(place.header, place.slab, place.object / WORD_OBJECTS, objects);
        }
    }

    /// Empties the depot of a class into its slabs, for whoever is about to take from them: no slab goes, however
    /// empty, since its pages might not come back at once.
    pub(super) fn unload_depot(&self, class: SizeClass) {
        let Some(state) = self.class(class) else { return };
        for magazine in self.stored(state, class) {
            self.count_in(class, magazine.count());
            while let Some(offset) = magazine.pop() {
                if let Some(place) = self.place(class, offset) {
                    self.put(place.header, place.object / WORD_OBJECTS, place.bit());
                }
            }
            self.store_empty(state, magazine);
        }
    }

    /// Empties the depot of a class into its slabs.
    pub(super) fn drain_class(&self, class: SizeClass) {
        let Some(state) = self.class(class) else { return };
        for magazine in self.stored(state, class) {
            self.flush(class, magazine);
            self.store_empty(state, magazine);
        }
    }
}

/// Where an object belongs.
#[derive(Clone, Copy)]
struct Place<'a> {
    header: &'a Header,
    slab: Description,
    object: u32,
}

impl Place<'_> {
    fn bit(&self) -> u64 {
        1 << (self.object % WORD_OBJECTS)
    }

    /// Whether both have their bits in the same word.
    fn is_beside(&self, other: &Self) -> bool {
        ptr::eq(self.header, other.header) && self.object / WORD_OBJECTS == other.object / WORD_OBJECTS
    }
}
