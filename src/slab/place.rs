//! The place that code runs on, a (CPU, level), and what is done at the magazines there.
//!
//! Whoever looks for its magazines holds its place first ([`Held`]) and is done with them when it lets go. What is in
//! between is short, whatever state anything is in: the fast paths, [`Slab::on_rack`] with a closure that looks at two
//! magazines and exchanges one, and one that fills a magazine, 64 objects at most. No source is called there and no
//! list is touched, for a kernel may have interrupts masked meanwhile. What is found afterwards, outside, is looked for
//! anew: the thread may have been moved, and others may have been here. So nothing but a magazine that was taken out of its
//! rack goes from one piece to the next.

use core::alloc::Layout;

use super::class::ClassState;
use super::classes::{SizeClass, hot_class, is_hot};
use super::magazine::{Magazine, Rack};
use super::{CPUS, LEVELS, Slab};
use crate::platform::{CpuIdentity, CpuLevel, Held};
use crate::source::{MetadataSource, PageSource};

/// Whether a place has one in the table.
#[inline]
fn in_table(place: &CpuLevel) -> bool {
    u32::from(place.cpu.number()) < CPUS && place.level < LEVELS
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// The hot path: an object from the loaded magazine.
    #[inline]
    pub(crate) fn pop(&self, layout: Layout) -> Option<u32> {
        if !is_hot(layout) {
            return None;
        }
        let held = Held::new(self.source.cpus());
        self.rack_or_dummy(&held).hot(hot_class(layout.size())).pop()
    }

    /// The hot path: an object into the loaded magazine.
    #[inline]
    pub(crate) fn push(&self, object: u32, layout: Layout) -> bool {
        if !is_hot(layout) {
            return false;
        }
        let held = Held::new(self.source.cpus());
        self.rack_or_dummy(&held).hot(hot_class(layout.size())).push(object)
    }

    /// The rack of the place that this runs on, or the dummy: the hot path asks nothing more.
    #[inline]
    pub(super) fn rack_or_dummy(&self, held: &Held<'_, S::Cpus>) -> &Rack {
        match held.place() {
            Some(place) if in_table(&place) => self.racks.get(u32::from(place.cpu.number()), place.level),
            _ => self.racks.dummy(),
        }
    }

    /// Lets `visit` at the magazines of the place that this runs on, and holds the place meanwhile; `None` if the place is
    /// not known, or has none. `visit` calls no source and touches no list.
    pub(super) fn on_rack<'a, R>(&'a self, visit: impl FnOnce(&'a Rack) -> R) -> Option<R> {
        let held = Held::new(self.source.cpus());
        let place = held.place().filter(in_table)?;
        let rack = self.racks.get(u32::from(place.cpu.number()), place.level);
        if self.racks.is_dummy(rack) { None } else { Some(visit(rack)) }
    }

    /// The same, for whoever wants a rack of its own: it is made if there is none, and memory for one.
    #[inline]
    pub(super) fn on_own_rack<R>(&self, visit: impl Fn(&Rack) -> R + Copy) -> Option<R> {
        match self.on_rack(visit) {
            None => self.on_new_rack(visit),
            done => done,
        }
    }

    #[cold]
    #[inline(never)]
    fn on_new_rack<R>(&self, visit: impl Fn(&Rack) -> R) -> Option<R> {
        self.make_rack(self.here().or_else(|| self.here_once_bound())?);
        self.on_rack(visit)
    }

    /// Tries something at the magazines of a class, and where it is in vain again with another magazine loaded. The second
    /// is the magazine that is the caller's afterwards: one that was there, or the same, if the class has none here or
    /// it was not needed.
    pub(super) fn with_loaded<'a, R>(
        &'a self,
        class: SizeClass,
        magazine: &'a Magazine,
        attempt: impl Fn(&Rack) -> Option<R>,
    ) -> (Option<R>, &'a Magazine) {
        let done = self.on_rack(|rack| match attempt(rack) {
            None if rack.has(class) => {
                let left = rack.load(class, magazine);
                (attempt(rack), left)
            }
            done => (done, magazine),
        });
        done.unwrap_or((None, magazine))
    }

    /// Sees to it that the class has magazines where this runs. `None` if the place is unknown, or there is no memory for
    /// them: then the slabs serve.
    ///
    /// A CPU that gets its number only now gets the magazines that go with it, and nothing that the fast path saw of others
    /// is true of these: they may be full, or empty.
    pub(super) fn magazines_for(&self, class: SizeClass) -> Option<&ClassState> {
        let state = self.class(class)?;
        let has = || self.on_rack(|rack| rack.has(class)) == Some(true);
        let ready = has() || {
            self.make_rack(self.here().or_else(|| self.here_once_bound())?);
            has() || self.make_magazines(state, class)
        };
        ready.then_some(state)
    }

    /// The place that this ran on a moment ago, if it has one in the table.
    fn here(&self) -> Option<CpuLevel> {
        Held::new(self.source.cpus()).place().filter(in_table)
    }

    /// The place of a CPU that has its name only now: one that gives out names on demand was told that it is time.
    fn here_once_bound(&self) -> Option<CpuLevel> {
        self.source.cpus().bind();
        self.here()
    }

    /// Makes a rack, if the place has none and there is memory for one.
    fn make_rack(&self, place: CpuLevel) {
        let racks = &self.tables().racks;
        if !self.racks.is_dummy(self.racks.get(u32::from(place.cpu.number()), place.level))
            || !self.racks.prepare_level(place.level, &self.metadata)
        {
            return;
        }
        let Some((index, rack)) = racks.take(&self.metadata).and_then(|index| Some((index, racks.get(index)?))) else {
            return;
        };
        rack.unbind_all(self.racks.dummy().dummy());
        if !self.set_rack(rack) {
            racks.put(index);
        }
    }

    /// Gives the place that this runs on a rack, unless it has one (by now).
    fn set_rack(&self, rack: &Rack) -> bool {
        let held = Held::new(self.source.cpus());
        // SAFETY: things of the store are never unmade while the slab is there, and this one is nobody's.
        let set = |place: CpuLevel| unsafe { self.racks.set(u32::from(place.cpu.number()), place.level, rack) };
        held.place().filter(in_table).is_some_and(set)
    }

    /// Gives the class magazines where this runs, unless it has some by now. Whether it has.
    fn make_magazines(&self, state: &ClassState, class: SizeClass) -> bool {
        let Some(loaded) = self.take_empty(state, class) else { return false };
        let Some(previous) = self.take_empty(state, class) else {
            self.store_empty(state, loaded);
            return false;
        };
        let bound = self.on_rack(|rack| {
            let needed = !rack.has(class);
            if needed {
                rack.bind_first(class, loaded, previous);
            }
            needed
        });
        if bound != Some(true) {
            self.store_empty(state, loaded);
            self.store_empty(state, previous);
        }
        bound.is_some()
    }
}
