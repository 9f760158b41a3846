//! Figures, read while everybody goes on: exact only at rest.

use super::Slab;
use super::classes::{CLASS_COUNT, SizeClass};
use super::header::Header;
use crate::addr::{PAGE_SHIFT, PageCount};
use crate::source::{MetadataSource, PageSource};
use crate::store::Blank;
use crate::sync::{Figure, Ordering};

/// What is counted for all classes together: pages, which come and go a slab or a run at a time. Everything else is
/// summed up when somebody asks. Relaxed: they are figures.
#[derive(Debug)]
pub(super) struct Totals {
    slab_pages: Figure,
    run_pages: Figure,
    peak_pages: Figure,
    /// Slabs that were retired.
    pub(super) retired: Figure,
    pub(super) misuses: Figure,
}

// SAFETY: words that are zero.
unsafe impl Blank for Totals {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        let zero = || Figure::new(0);
        Self { slab_pages: zero(), run_pages: zero(), peak_pages: zero(), retired: zero(), misuses: zero() }
    }
}

impl Totals {
    pub(super) fn add_slab(&self, pages: PageCount) {
        add(&self.slab_pages, pages);
        self.raise_peak();
    }

    pub(super) fn sub_slab(&self, pages: PageCount) {
        self.slab_pages.fetch_sub(pages.get().into(), Ordering::Relaxed);
    }

    /// Raises the peak; a look first, for it is rarely needed.
    fn raise_peak(&self) {
        let held = self.held_bytes() >> PAGE_SHIFT;
        if held > self.peak_pages.load(Ordering::Relaxed) {
            self.peak_pages.fetch_max(held, Ordering::Relaxed);
        }
    }

    /// Bytes of all pages that were taken.
    fn held_bytes(&self) -> u64 {
        (self.slab_pages.load(Ordering::Relaxed) << PAGE_SHIFT).saturating_add(self.run_bytes())
    }

    /// Pages of runs that the heap on top took, with those that are kept for it.
    pub(super) fn run_pages(&self) -> u64 {
        self.run_pages.load(Ordering::Relaxed)
    }

    /// Bytes of the same.
    pub(super) fn run_bytes(&self) -> u64 {
        self.run_pages() << PAGE_SHIFT
    }
}

fn add(figure: &Figure, pages: PageCount) {
    figure.fetch_add(pages.get().into(), Ordering::Relaxed);
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Counts a run of pages that the heap on top took from the same source.
    pub(super) fn count_run(&self, pages: PageCount) {
        add(&self.tables().totals.0.run_pages, pages);
        self.tables().totals.0.raise_peak();
    }

    /// Counts pages of runs that are given back; says whether so many were out, else nothing is counted.
    #[must_use]
    pub(super) fn count_run_gone(&self, pages: PageCount) -> bool {
        let less = |count: u64| count.checked_sub(pages.get().into());
        self.tables().totals.0.run_pages.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Figures of a slab allocator. What is shown of them (`Debug`) has the classes that have objects alone, each with how many
/// are live of how many.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlabStats {
    /// Bytes of objects that users have (rounded up to their classes); in debug mode those in quarantine, too.
    pub live_bytes: u64,
    /// At most so many bytes of objects were ever out of the slabs at once, with users or in magazines: the sum of what
    /// each class had out at most. Each class's own peak is exact.
    pub peak_bytes: u64,
    /// Bytes of all slabs' pages, and of the runs of pages of a heap on top.
    pub held_bytes: u64,
    /// Of these, those of the runs that users have.
    pub run_bytes: u64,
    /// And those of runs that were given back, and are kept for whoever wants one as long.
    pub kept_run_bytes: u64,
    /// The most bytes of pages that were ever held at once.
    pub peak_held_bytes: u64,
    /// Bytes of bookkeeping pages.
    pub metadata_bytes: u64,
    /// Frees and damages that were refused or found.
    pub misuses: u64,
    /// Class by class.
    pub classes: [ClassStats; CLASS_COUNT],
}

/// Figures of a class.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes of an object.
    pub size: usize,
    /// How many slabs there are.
    pub slabs: u32,
    /// Objects of all slabs.
    pub objects: u64,
    /// Of these, those that users have.
    pub live: u64,
    /// Those in magazines.
    pub cached: u64,
    /// Those in their slabs.
    pub free: u64,
    /// The most that were ever out of their slabs at once, with users or in magazines.
    pub peak: u64,
    /// Bytes of the slabs' pages that belong to no object.
    pub waste_bytes: u64,
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Figures. Nothing is allocated; all bookkeeping of slabs and magazines is read. Takes about 5 KiB of stack.
    /// Context: *any*.
    pub fn stats(&self) -> SlabStats {
        let mut classes = NOTHING;
        for (class, figures) in SizeClass::all().zip(&mut classes) {
            figures.size = class.size();
        }
        self.tables().headers.iter().for_each(|header| count_slab(header, &mut classes));
        self.count_cached(&mut classes);
        let (mut live_bytes, mut peak_bytes) = (0, 0);
        for figures in &mut classes {
            figures.live = figures.objects.saturating_sub(figures.free + figures.cached);
            live_bytes += figures.live * figures.size as u64;
            peak_bytes += figures.peak * figures.size as u64;
        }
        let totals = &self.tables().totals.0;
        let kept_run_bytes = self.kept_run_pages() << PAGE_SHIFT;
        SlabStats {
            live_bytes,
            peak_bytes,
            held_bytes: totals.held_bytes(),
            run_bytes: totals.run_bytes().saturating_sub(kept_run_bytes),
            kept_run_bytes,
            peak_held_bytes: totals.peak_pages.load(Ordering::Relaxed) << PAGE_SHIFT,
            metadata_bytes: u64::from(self.metadata_pages()) << PAGE_SHIFT,
            misuses: totals.misuses.load(Ordering::Relaxed),
            classes,
        }
    }

    /// What the racks and the depots hold. A full magazine on its way between them is missed.
    fn count_cached(&self, classes: &mut [ClassStats; CLASS_COUNT]) {
        for (class, figures) in SizeClass::all().zip(classes.iter_mut()) {
            let Some(state) = self.class(class) else { continue };
            let stored = state.stored.load(Ordering::Relaxed);
            figures.peak = state.peak();
            figures.cached += u64::from(stored) * u64::from(class.magazine_objects());
        }
        for rack in self.racks.iter() {
            for (class, figures) in SizeClass::all().zip(classes.iter_mut()) {
                let both = rack.loaded(class).count() + rack.previous(class).count();
                figures.cached += u64::from(both);
            }
        }
    }

    fn metadata_pages(&self) -> u32 {
        self.tables().metadata_pages() + self.racks.metadata_pages()
    }
}

/// Figures to begin with. As one constant they are zeroed at once, and not class by class.
const NOTHING: [ClassStats; CLASS_COUNT] = [ClassStats::new(); CLASS_COUNT];

impl ClassStats {
    const fn new() -> Self {
        Self { size: 0, slabs: 0, objects: 0, live: 0, cached: 0, free: 0, peak: 0, waste_bytes: 0 }
    }
}

fn count_slab(header: &Header, classes: &mut [ClassStats; CLASS_COUNT]) {
    let Some(slab) = header.description() else { return };
    let figures = &mut classes[slab.class().index() % CLASS_COUNT];
    figures.slabs += 1;
    figures.objects += u64::from(slab.objects());
    figures.free += u64::from(header.count());
    figures.waste_bytes += slab.tail_bytes();
}
