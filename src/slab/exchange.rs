//! The slow paths: what happens when the loaded magazine is empty, or full, or not there yet.

use core::alloc::Layout;

use super::class::ClassState;
use super::classes::SizeClass;
use super::header::WORD_OBJECTS;
use super::magazine::{Magazine, Rack};
use super::{Slab, SlabError};
use crate::addr::ArenaPtr;
use crate::misuse::Misuse;
use crate::platform::{CpuIdentity, CpuLevel};
use crate::source::{MetadataSource, PageSource};

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// An allocation that found nothing in the loaded magazine.
    #[cold]
    #[inline(never)]
    pub(crate) fn alloc_slow(&self, layout: Layout) -> Result<ArenaPtr, SlabError> {
        if let Some(debugger) = self.debugger() {
            return self.alloc_debug(debugger, layout).map(ArenaPtr::new);
        }
        let class = SizeClass::of(layout).ok_or(SlabError::of(layout))?;
        let object = match self.rack_for(class) {
            Some((state, rack)) => self.refill(state, class, rack)?,
            None => self.take_one(class)?,
        };
        Ok(ArenaPtr::new(object))
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
        match self.rack_for(class) {
            Some((state, rack)) => {
                let magazine = self.make_room(state, class, rack);
                if !magazine.push(object) {
                    self.put_one(object);
                }
            }
            None => self.put_one(object),
        }
    }

    /// The rack of this (CPU, level), made if need be, with magazines for this class. `None` if the CPU is unknown or
    /// there is no memory for one: then the slabs serve.
    ///
    /// A CPU that gets its number only now gets the magazines that go with it, and nothing that the fast path saw of others
    /// is true of these: they may be full, or empty.
    fn rack_for(&self, class: SizeClass) -> Option<(&ClassState, &Rack)> {
        let state = self.class(class)?;
        let here = self.here().or_else(|| self.here_once_bound())?;
        let rack = self.rack_at(here);
        let rack = if self.racks.is_dummy(rack) { self.make_rack(here)? } else { rack };
        if rack.loaded(class).is_dummy() {
            let loaded = self.take_empty(state, class)?;
            let Some(previous) = self.take_empty(state, class) else {
                self.store_empty(state, loaded);
                return None;
            };
            rack.bind_first(class, loaded, previous);
        } else if rack.previous(class).is_dummy() {
            // Left so by a thread that a forked child does not have.
            rack.bind(class, rack.loaded(class), self.take_empty(state, class)?);
        }
        Some((state, rack))
    }

    /// The place of a CPU that has its name only now: one that gives out names on demand was told that it is time.
    fn here_once_bound(&self) -> Option<CpuLevel> {
        self.source.cpus().bind();
        self.here()
    }

    /// A rack for this (CPU, level), which alone makes and uses it.
    fn make_rack(&self, here: CpuLevel) -> Option<&Rack> {
        if !self.racks.prepare_level(here.level, &self.metadata) {
            return None;
        }
        let rack = self.tables().racks.get(self.tables().racks.take(&self.metadata)?)?;
        rack.unbind_all(self.racks.dummy().dummy());
        // SAFETY: things of the store are never unmade while the slab is there.
        unsafe { self.racks.set(u32::from(here.cpu.number()), here.level, rack) };
        Some(rack)
    }

    /// An object from the loaded magazine, the previous one, the depot, or a slab, in this order.
    fn refill(&self, state: &ClassState, class: SizeClass, rack: &Rack) -> Result<u32, SlabError> {
        let (loaded, previous) = (rack.loaded(class), rack.previous(class));
        if let Some(object) = loaded.pop() {
            return Ok(object);
        }
        if let Some(object) = previous.pop() {
            rack.bind(class, previous, loaded);
            return Ok(object);
        }
        if let Some(full) = self.take_full(state) {
            rack.bind(class, full, previous);
            self.store_empty(state, loaded);
            if let Some(object) = full.pop() {
                return Ok(object);
            }
        }
        let loaded = rack.loaded(class);
        let taken = self.take(class, loaded.room().clamp(1, WORD_OBJECTS), Some(rack))?;
        for offset in taken.offsets() {
            // There is room: no more were taken, and nothing else runs at this (CPU, level).
            if !loaded.push(offset) {
                self.put_one(offset);
            }
        }
        match loaded.pop() {
            Some(object) => Ok(object),
            None => self.take_one(class),
        }
    }

    /// A magazine with room for an object when the loaded one is full: the previous one, or an empty one, its objects
    /// having gone to the depot, or the previous one after its objects went back to their slabs.
    fn make_room<'a>(&'a self, state: &ClassState, class: SizeClass, rack: &'a Rack) -> &'a Magazine {
        let (loaded, previous) = (rack.loaded(class), rack.previous(class));
        if loaded.room() > 0 {
            return loaded;
        }
        if previous.room() > 0 {
            rack.bind(class, previous, loaded);
            return previous;
        }
        if let Some(empty) = self.take_empty(state, class) {
            // First out of the rack, then into the depot: it is never in both.
            rack.bind(class, empty, loaded);
            if !self.store_full(state, class, previous) {
                self.flush(class, previous);
                self.store_empty(state, previous);
            }
            return empty;
        }
        self.flush(class, previous);
        rack.bind(class, previous, loaded);
        previous
    }
}
