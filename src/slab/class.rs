//! What is kept of a class: the depot, the list of slabs that may have objects, and the counts that decide when an
//! empty slab goes.

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
    pub(super) objects: AtomicU64,
    /// Of these, those that are not in their slab.
    pub(super) out: AtomicU64,
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
            out: AtomicU64::new(0),
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
    /// Objects that are in their slabs. Relaxed and not at one moment: it decides only when an empty slab goes.
    pub(super) fn in_slabs(&self) -> u64 {
        self.objects.load(Ordering::Relaxed).saturating_sub(self.out.load(Ordering::Relaxed))
    }
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// The state of a class. All were made at creation.
    pub(super) fn class(&self, class: SizeClass) -> Option<&ClassState> {
        self.tables().classes.get(u32::try_from(class.index()).ok()?)
    }

    /// Counts objects that left their slab.
    pub(super) fn count_out(&self, class: SizeClass, objects: u32) {
        if let Some(state) = self.class(class) {
            state.out.fetch_add(u64::from(objects), Ordering::Relaxed);
        }
        self.totals.0.add(u64::from(objects) * class.size() as u64);
    }

    /// Counts objects that are back.
    pub(super) fn count_in(&self, class: SizeClass, objects: u32) {
        if let Some(state) = self.class(class) {
            state.out.fetch_sub(u64::from(objects), Ordering::Relaxed);
        }
        self.totals.0.sub(u64::from(objects) * class.size() as u64);
    }

    /// Counts a run of pages that the heap on top took from the same source.
    #[cfg(not(kernel_arena_loom))]
    pub(crate) fn count_run(&self, pages: u32) {
        self.totals.0.add(u64::from(pages) << crate::PAGE_SHIFT);
        self.totals.0.add_pages(pages);
    }

    /// Counts pages of runs that were given back.
    #[cfg(not(kernel_arena_loom))]
    pub(crate) fn count_run_gone(&self, pages: u32) {
        self.totals.0.sub(u64::from(pages) << crate::PAGE_SHIFT);
        self.totals.0.sub_pages(pages);
    }

    /// Counts a slab that was made.
    pub(super) fn count_slab(&self, slab: Description) {
        if let Some(state) = self.class(slab.class()) {
            state.slabs.fetch_add(1, Ordering::Relaxed);
            state.objects.fetch_add(u64::from(slab.objects()), Ordering::Relaxed);
        }
        self.totals.0.add_pages(slab.pages().count().get());
    }

    /// Counts a slab that is gone.
    pub(super) fn count_slab_gone(&self, slab: Description) {
        if let Some(state) = self.class(slab.class()) {
            state.slabs.fetch_sub(1, Ordering::Relaxed);
            state.objects.fetch_sub(u64::from(slab.objects()), Ordering::Relaxed);
        }
        self.totals.0.sub_pages(slab.pages().count().get());
    }
}
