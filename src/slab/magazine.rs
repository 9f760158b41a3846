//! Magazines: stacks of objects that one CPU, at one interrupt level, has to itself (O4).
//!
//! Loads and stores are Relaxed and no instruction is locked: whoever has a magazine is alone with it. Who that is
//! goes from one to another through the depot's stacks (Release, Acquire), or stays with a (CPU, level), whose code
//! runs in one order and is held while it is at its magazines (`place`). Atomics they are all the same, so that statistics
//! may look. A kernel that breaks the contract of [`CpuIdentity`](crate::platform::CpuIdentity) gets the same object twice.

use core::ptr;
use core::sync::atomic::compiler_fence;

use super::classes::{CLASS_COUNT, MAGAZINE_OBJECTS, NO_CLASS, SizeClass};
use super::run_cache::RunCache;
use crate::store::{Blank, Stable};
use crate::sync::{AtomicPtr, AtomicU32, Ordering};

/// A magazine; its objects are offsets in the window.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Magazine {
    count: AtomicU32,
    capacity: AtomicU32,
    link: AtomicU32,
    index: u32,
    objects: [AtomicU32; MAGAZINE_OBJECTS as usize],
}

// SAFETY: words that are zero.
unsafe impl Blank for Magazine {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self {
            count: AtomicU32::new(0),
            capacity: AtomicU32::new(0),
            link: AtomicU32::new(0),
            index: 0,
            objects: core::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

impl Stable for Magazine {
    fn set_index(&mut self, index: u32) {
        self.index = index;
    }

    fn link(&self) -> &AtomicU32 {
        &self.link
    }
}

impl Magazine {
    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    /// Makes it one for so many objects. An empty one with no room, as it is at first, serves as the *dummy*: always
    /// empty and always full, so that whoever has it takes the slow path without being asked.
    pub(super) fn set_capacity(&self, objects: u32) {
        self.capacity.store(objects.min(MAGAZINE_OBJECTS), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn room(&self) -> u32 {
        self.capacity.load(Ordering::Relaxed).saturating_sub(self.count())
    }

    pub(super) fn is_dummy(&self) -> bool {
        self.capacity.load(Ordering::Relaxed) == 0
    }

    #[inline]
    fn place(&self, number: u32) -> &AtomicU32 {
        // SAFETY: callers pass numbers below a count that was at most the capacity, which is at most the length:
        // whatever a broken contract mixes up, every count that is ever stored is.
        unsafe { self.objects.get_unchecked(number as usize) }
    }

    /// Takes the object that was put in last.
    #[inline]
    pub(super) fn pop(&self) -> Option<u32> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let object = self.place(count - 1).load(Ordering::Relaxed);
        self.count.store(count - 1, Ordering::Relaxed);
        Some(object)
    }

    /// The objects, in the order in which they are handed out.
    pub(super) fn objects(&self) -> impl Iterator<Item = u32> {
        (0..self.count()).rev().map(|number| self.place(number).load(Ordering::Relaxed))
    }

    /// Puts an object in, if there is room.
    #[inline]
    pub(super) fn push(&self, object: u32) -> bool {
        let count = self.count();
        if count >= self.capacity.load(Ordering::Relaxed) {
            return false;
        }
        self.place(count).store(object, Ordering::Relaxed);
        self.set_larger(count + 1);
        true
    }

    /// Puts in what there is, as long as there is room.
    pub(super) fn fill(&self, mut next: impl FnMut() -> Option<u32>) {
        let (before, capacity) = (self.count(), self.capacity.load(Ordering::Relaxed));
        let mut count = before;
        while count < capacity {
            let Some(object) = next() else { break };
            self.place(count).store(object, Ordering::Relaxed);
            count += 1;
        }
        // Not the dummy's, which is everybody's.
        if count != before {
            self.set_larger(count);
        }
    }

    /// Counts objects that were put in. A signal's handler may fork the process between any two stores, and the child goes
    /// on with what is there: an object that is counted is in its place then, or the child would hand out what was there
    /// before. A compiler's fence, no instruction: the CPU's own stores are in order for whoever interrupts it.
    #[inline]
    fn set_larger(&self, count: u32) {
        compiler_fence(Ordering::Release);
        self.count.store(count, Ordering::Relaxed);
    }
}

/// A magazine for each class, and one, always the dummy, for "no class".
type Magazines = [AtomicPtr<Magazine>; CLASS_COUNT + 1];

/// The magazines of a (CPU, level), two for a class: frees and allocations that take turns at the edge of one find the
/// other half full. In two arrays rather than in pairs, so that a class's number is scaled by the load itself.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Rack {
    loaded: Magazines,
    previous: Magazines,
    link: AtomicU32,
    /// How many classes have magazines here.
    bound: AtomicU32,
    pub(super) runs: RunCache,
}

// SAFETY: null pointers, and words that are zero.
unsafe impl Blank for Rack {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        let none = || core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        Self {
            loaded: none(),
            previous: none(),
            link: AtomicU32::new(0),
            bound: AtomicU32::new(0),
            runs: RunCache::blank(),
        }
    }
}

impl Stable for Rack {
    fn set_index(&mut self, _index: u32) {}

    fn link(&self) -> &AtomicU32 {
        &self.link
    }
}

impl Rack {
    /// The magazine that the dummy rack has for every class.
    pub(super) fn dummy(&self) -> &Magazine {
        self.hot(NO_CLASS)
    }

    /// Gives every class the dummy. Before that, a rack is not used.
    pub(super) fn unbind_all(&self, dummy: &Magazine) {
        for place in self.previous.iter().chain(&self.loaded) {
            place.store(ptr::from_ref(dummy).cast_mut(), Ordering::Relaxed);
        }
    }

    /// How many classes have magazines here, or one more.
    pub(super) fn bound(&self) -> u32 {
        self.bound.load(Ordering::Relaxed)
    }

    /// Gives a class that has the dummy magazines of its own.
    pub(super) fn bind_first(&self, class: SizeClass, loaded: &Magazine, previous: &Magazine) {
        self.bound.store(self.bound() + 1, Ordering::Relaxed);
        self.bind(class, loaded, previous);
    }

    /// Whether a class has magazines of its own here.
    pub(super) fn has(&self, class: SizeClass) -> bool {
        !self.loaded(class).is_dummy()
    }

    /// Takes a class's magazines away, if it has any: it has the dummy again.
    pub(super) fn unbind(&self, class: SizeClass) -> Option<[&Magazine; 2]> {
        if !self.has(class) {
            return None;
        }
        let both = [self.loaded(class), self.previous(class)];
        self.bind(class, self.dummy(), self.dummy());
        self.bound.store(self.bound() - 1, Ordering::Relaxed);
        Some(both)
    }

    /// Takes an object from the loaded magazine, or from the previous one, which is the loaded one then.
    pub(super) fn pop(&self, class: SizeClass) -> Option<u32> {
        let (loaded, previous) = (self.loaded(class), self.previous(class));
        loaded.pop().or_else(|| {
            let object = previous.pop()?;
            self.bind(class, previous, loaded);
            Some(object)
        })
    }

    /// Puts an object into the loaded magazine, or into the previous one, which is the loaded one then; says whether there
    /// was room.
    pub(super) fn push(&self, class: SizeClass, object: u32) -> bool {
        let (loaded, previous) = (self.loaded(class), self.previous(class));
        if loaded.push(object) {
            return true;
        }
        let pushed = previous.push(object);
        if pushed {
            self.bind(class, previous, loaded);
        }
        pushed
    }

    /// Loads a magazine of the caller's for a class that has some. The loaded one is the previous one then, and the one that
    /// was that (a dummy perhaps) is the caller's.
    pub(super) fn load(&self, class: SizeClass, magazine: &Magazine) -> &Magazine {
        let previous = self.previous(class);
        self.bind(class, magazine, self.loaded(class));
        previous
    }

    /// Takes the previous magazine away, if there is one. The next that is loaded leaves one there again.
    pub(super) fn take_previous(&self, class: SizeClass) -> Option<&Magazine> {
        let previous = self.previous(class);
        if previous.is_dummy() {
            return None;
        }
        self.bind(class, self.loaded(class), self.dummy());
        Some(previous)
    }

    /// Gives a class its magazines. They are never unmade while the rack is used (`Store`). Release: statistics on
    /// another CPU may follow the pointers.
    ///
    /// A process may be forked between any two stores, and the child goes on with what is there: so no magazine is in
    /// two places even then, only in none.
    pub(super) fn bind(&self, class: SizeClass, loaded: &Magazine, previous: &Magazine) {
        self.previous[class.index()].store(ptr::from_ref(self.dummy()).cast_mut(), Ordering::Release);
        self.loaded[class.index()].store(ptr::from_ref(loaded).cast_mut(), Ordering::Release);
        self.previous[class.index()].store(ptr::from_ref(previous).cast_mut(), Ordering::Release);
    }

    /// The loaded magazine, by the number that `hot_class` gave.
    #[inline]
    pub(super) fn hot(&self, class: u8) -> &Magazine {
        // SAFETY: `hot_class` gives the numbers of classes and `NO_CLASS`, the last one.
        let place = unsafe { self.loaded.get_unchecked(usize::from(class)) };
        // SAFETY: as for `loaded`. Relaxed: only the (CPU, level) itself comes here.
        unsafe { &*place.load(Ordering::Relaxed) }
    }

    /// The magazine that objects come from and go to.
    pub(super) fn loaded(&self, class: SizeClass) -> &Magazine {
        // SAFETY: a rack that is used was given magazines, none of which is ever unmade while the slab is there; a
        // reader of statistics on another CPU finds one or the other.
        unsafe { &*self.loaded[class.index()].load(Ordering::Acquire) }
    }

    /// The other one.
    pub(super) fn previous(&self, class: SizeClass) -> &Magazine {
        // SAFETY: as above.
        unsafe { &*self.previous[class.index()].load(Ordering::Acquire) }
    }
}
