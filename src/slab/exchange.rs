//! The slow paths: what happens when the loaded magazine is empty, or full, or not there yet.
//!
//! Each is a row of steps, some of which hold the place that the code runs on (`place`). Between two of them anything may
//! happen, so each finds its own way: an object that has no place any more goes to its slab, a magazine that is not wanted
//! any more to the depot.

use core::alloc::Layout;

use super::class::ClassState;
use super::classes::SizeClass;
use super::header::WORD_OBJECTS;
use super::magazine::Magazine;
use super::{Slab, SlabError};
use crate::addr::ArenaPtr;
use crate::arch::prefetch_for_writing;
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// An allocation that found nothing in the loaded magazine.
    #[cold]
    #[inline(never)]
    pub(crate) fn alloc_slow(&self, layout: Layout) -> Result<ArenaPtr, SlabError> {
        if let Some(debugger) = self.debugger() {
            return self.alloc_debug(debugger, layout).map(ArenaPtr::in_page);
        }
        let class = SizeClass::of(layout).ok_or(SlabError::of(layout))?;
        let object = match self.magazines_for(class) {
            Some(state) => self.refill(state, class)?,
            None => self.take_one(class)?,
        };
        Ok(ArenaPtr::in_page(object))
    }

    /// A free that found no room in the loaded magazine.
    #[cold]
    #[inline(never)]
    pub(crate) fn free_slow(&self, object: u32, layout: Layout) {
        if let Some(debugger) = self.debugger() {
            return self.free_debug(debugger, object, layout);
        }
        let Some(class) = SizeClass::of(layout) else {
            self.misuse(object, Misuse::WrongSize);
            return;
        };
        let kept = self.magazines_for(class).is_some_and(|state| self.make_room(state, class, object));
        if !kept {
            self.put_one(object);
        }
    }

    /// An object from the loaded magazine, the previous one, the depot, or a slab, in this order.
    fn refill(&self, state: &ClassState, class: SizeClass) -> Result<u32, SlabError> {
        if let Some(object) = self.on_rack(|rack| rack.pop(class)).flatten() {
            return Ok(object);
        }
        if let Some((full, was_surplus)) = self.take_full(state, class) {
            if was_surplus {
                self.prefetch(full);
            }
            let (object, left) = self.with_loaded(class, full, |rack| rack.pop(class));
            // Where there are no magazines any more, the full one is still in our hands.
            let object = object.or_else(|| left.pop());
            self.put_away(state, class, left);
            if let Some(object) = object {
                return Ok(object);
            }
        }
        let taken = self.take(class, class.magazine_objects().clamp(1, WORD_OBJECTS))?;
        Ok(self.keep_all_but_one(class, taken))
    }

    /// Puts an object into the loaded magazine, the previous one, or an empty one in its place: then the objects of the
    /// previous one go to the depot, or to their slabs. Says whether it did.
    fn make_room(&self, state: &ClassState, class: SizeClass, object: u32) -> bool {
        if self.on_rack(|rack| rack.push(class, object)) == Some(true) {
            return true;
        }
        let Some(empty) = self.take_empty(state, class).or_else(|| self.empty_previous(class)) else { return false };
        let (kept, left) = self.with_loaded(class, empty, |rack| rack.push(class, object).then_some(()));
        self.put_away(state, class, left);
        kept.is_some()
    }

    /// The previous magazine, after its objects went back to their slabs: where there is no memory for another.
    fn empty_previous(&self, class: SizeClass) -> Option<&Magazine> {
        let previous = self.on_rack(|rack| rack.take_previous(class)).flatten()?;
        self.flush(class, previous);
        Some(previous)
    }

    /// Has the processor fetch the first line of each object of a magazine. Of a depot that keeps many, they were freed
    /// long ago, in any order, and whoever gets one next writes to it.
    fn prefetch(&self, magazine: &Magazine) {
        magazine.objects().for_each(|object| prefetch_for_writing(self.address_of(object)));
    }
}
