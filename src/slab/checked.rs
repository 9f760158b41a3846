//! Objects that a program may give back: nothing that it says is believed.

use core::alloc::Layout;

use super::classes::SizeClass;
use super::{Slab, SlabError};
use crate::addr::{ArenaPtr, PageIndex};
use crate::misuse::Misuse;
use crate::source::{MetadataSource, PageSource};
use crate::sync::Ordering;

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Takes an object that is given back by [`free_checked`](Self::free_checked), and only by it: an object for a
    /// program.
    ///
    /// Given back by [`free`](Self::free) it would stay marked as the program's, which could free it once more, under
    /// whoever has it then.
    ///
    /// From the moment at which it returns, and a moment before, whoever guesses the address may free it; so its content
    /// is not prepared here, but by [`alloc_checked_zeroed`](Self::alloc_checked_zeroed).
    ///
    /// Context: *any*. One locked operation more than [`alloc`](Self::alloc).
    ///
    /// # Errors
    /// [`SlabError`]; nothing was taken then.
    pub fn alloc_checked(&self, layout: Layout) -> Result<ArenaPtr, SlabError> {
        let (class, object) = self.take_unpublished(layout)?;
        self.publish(class, object)
    }

    /// The same, filled with zeros to the end of its class: before anybody can free it, and so before another can have
    /// it.
    ///
    /// # Errors
    /// As for [`alloc_checked`](Self::alloc_checked).
    pub fn alloc_checked_zeroed(&self, layout: Layout) -> Result<ArenaPtr, SlabError> {
        let (class, object) = self.take_unpublished(layout)?;
        self.fill(object.offset(), class.size(), 0);
        self.publish(class, object)
    }

    /// An object that nobody else can name yet.
    fn take_unpublished(&self, layout: Layout) -> Result<(SizeClass, ArenaPtr), SlabError> {
        let class = SizeClass::of(layout).ok_or(SlabError::of(layout))?;
        let object = match self.debugger() {
            Some(_) => ArenaPtr::in_page(self.take_one(class)?),
            None => self.alloc(class.layout())?,
        };
        Ok((class, object))
    }

    /// From here on whoever names the object may free it.
    fn publish(&self, class: SizeClass, object: ArenaPtr) -> Result<ArenaPtr, SlabError> {
        match self.tables().live.set(object.offset(), &self.metadata) {
            Some(already) => {
                if already {
                    // Somebody gave it back by `free`: it was the program's all the time, and is so once only.
                    self.misuse(object.offset(), Misuse::NotLive);
                }
                Ok(object)
            }
            None => {
                self.give(class, object.offset());
                Err(SlabError::OutOfMetadata)
            }
        }
    }

    /// Gives back the object at an address that may be anything: what a program passed, say
    /// ([`ArenaPtr::from_low_bits`]), null included.
    ///
    /// Context: *any*. Of several frees of one object that race, one is right.
    ///
    /// # Errors
    /// [`Misuse`] says what is wrong: [`Outside`](Misuse::Outside), [`NoObjects`](Misuse::NoObjects),
    /// [`NotAtStart`](Misuse::NotAtStart) or [`NotLive`](Misuse::NotLive); it is recorded
    /// ([`PageSource::record_misuse`]: in an arena as a [violation](crate::ViolationKind::Object)), and nothing was
    /// changed. An object that was not handed out by [`alloc_checked`](Self::alloc_checked) is *not live* here: a
    /// program frees none of the kernel's (I7).
    pub fn free_checked(&self, object: Option<ArenaPtr>) -> Result<(), Misuse> {
        let inside = |object: &ArenaPtr| self.source.extent().contains(PageIndex::containing(*object));
        let Some(offset) = object.filter(inside).map(ArenaPtr::offset) else {
            return Err(self.misuse(object.map_or(0, ArenaPtr::offset), Misuse::Outside));
        };
        if !self.tables().live.clear(offset) {
            return Err(self.misuse(offset, self.why_not_live(offset)));
        }
        // The object is ours alone now, so its slab is pinned and the map says which it is.
        match self.find(offset) {
            Some((_, slab, _)) => {
                self.give(slab.class(), offset);
                Ok(())
            }
            None => Err(self.misuse(offset, Misuse::NoObjects)),
        }
    }

    /// Gives back an object that nobody has.
    fn give(&self, class: SizeClass, offset: u32) {
        let layout = class.layout();
        if self.debugger().is_some() {
            self.put_one(offset);
        } else if !self.push(offset, layout) {
            self.free_slow(offset, layout);
        }
    }

    /// What is wrong with an address whose live bit is clear.
    pub(super) fn why_not_live(&self, offset: u32) -> Misuse {
        match self.tables().map.get(offset >> crate::PAGE_SHIFT).and_then(|header| header.description()) {
            None => Misuse::NoObjects,
            Some(slab) if slab.object_at(offset).is_none() => Misuse::NotAtStart,
            Some(_) => Misuse::NotLive,
        }
    }

    /// Records what somebody did wrong.
    pub(super) fn misuse(&self, offset: u32, misuse: Misuse) -> Misuse {
        self.tables().totals.0.misuses.fetch_add(1, Ordering::Relaxed);
        self.source.record_misuse(ArenaPtr::new(offset), misuse);
        misuse
    }
}
