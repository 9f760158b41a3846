//! What is kept of a class: the depot, the list of slabs that may have objects, and the counts that decide where to
//! look, and when an empty slab goes.

use super::classes::SizeClass;
use super::{Slab, header::Description};
use crate::source::{MetadataSource, PageSource};
use crate::stack::TaggedStack;
use crate::store::{Blank, Stable};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// A class's shared state, on cache lines of its own.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct ClassState {
    /// Full magazines.
    pub(super) full: TaggedStack<20>,
    /// Empty magazines.
    pub(super) empty: TaggedStack<20>,
    /// Slabs that may have objects in them.
    pub(super) partial: TaggedStack<24>,
    /// How many magazines `full` has, or will have a moment later.
    pub(super) stored: AtomicU32,
    pub(super) slabs: AtomicU32,
    /// Objects of all slabs.
    objects: AtomicU64,
    /// Of these, those that are in their slab, and those that may be: never fewer than there are.
    free: AtomicU64,
    /// The most that were ever out of their slabs.
    peak: AtomicU64,
    /// The most pages that the next slab is tried with, where memory was short lately; else 0.
    pub(super) most_pages: AtomicU32,
    link: AtomicU32,
}

// SAFETY: words that are zero.
unsafe impl Blank for ClassState {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self {
            full: TaggedStack::new(),
            empty: TaggedStack::new(),
            partial: TaggedStack::new(),
            stored: AtomicU32::new(0),
            slabs: AtomicU32::new(0),
            objects: AtomicU64::new(0),
            free: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            most_pages: AtomicU32::new(0),
            link: AtomicU32::new(0),
        }
    }
}

impl Stable for ClassState {
    fn set_index(&mut self, _index: u32) {}

    fn link(&self) -> &AtomicU32 {
        &self.link
    }
}

impl ClassState {
    /// Objects that are in their slabs, or may be. If one was put back before (in the order that others see), and
    /// nobody took it since, this is not 0: whoever puts an object in counts first, whoever takes one out counts after,
    /// so each object counts for 0 or 1 at any moment, and for 1 as long as its bit is set. Relaxed: it is one word.
    pub(super) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// The most objects that were ever out at once.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// The state of a class. All were made at creation.
    pub(super) fn class(&self, class: SizeClass) -> Option<&ClassState> {
        self.tables().classes.get(u32::try_from(class.index()).ok()?)
    }

    /// Counts objects that left their slab. After they did.
    pub(super) fn count_out(&self, class: SizeClass, objects: u32) {
        let Some(state) = self.class(class) else { return };
        let objects = u64::from(objects);
        let free = state.free.fetch_sub(objects, Ordering::Relaxed).saturating_sub(objects);
        let out = state.objects.load(Ordering::Relaxed).saturating_sub(free);
        // A look first, for it is rarely needed.
        if out > state.peak() {
            state.peak.fetch_max(out, Ordering::Relaxed);
        }
    }

    /// Counts objects that go back. Before they do.
    pub(super) fn count_in(&self, class: SizeClass, objects: u32) {
        if let Some(state) = self.class(class) {
            state.free.fetch_add(objects.into(), Ordering::Relaxed);
        }
    }

    /// Counts a slab that is made, before it has objects.
    pub(super) fn count_slab(&self, slab: Description) {
        if let Some(state) = self.class(slab.class()) {
            state.slabs.fetch_add(1, Ordering::Relaxed);
            state.objects.fetch_add(slab.objects().into(), Ordering::Relaxed);
            state.free.fetch_add(slab.objects().into(), Ordering::Relaxed);
        }
        self.tables().totals.0.add_slab(slab.pages().count());
    }

    /// Counts a slab that is gone, after all of its objects were taken.
    pub(super) fn count_slab_gone(&self, slab: Description) {
        if let Some(state) = self.class(slab.class()) {
            state.slabs.fetch_sub(1, Ordering::Relaxed);
            state.free.fetch_sub(slab.objects().into(), Ordering::Relaxed);
            state.objects.fetch_sub(slab.objects().into(), Ordering::Relaxed);
        }
        self.tables().totals.0.sub_slab(slab.pages().count());
    }
}
