//! Figures, read while everybody goes on: exact only at rest.

use super::Slab;
use super::classes::{CLASS_COUNT, SizeClass};
use super::header::Header;
use crate::source::{MetadataSource, PageSource};
use crate::sync::{Figure, Ordering};

/// Sums over all classes. Relaxed: they are figures.
#[derive(Debug)]
pub(super) struct Totals {
    out_bytes: Figure,
    peak_bytes: Figure,
    pages: Figure,
    peak_pages: Figure,
    /// Slabs that were retired.
    pub(super) retired: Figure,
    pub(super) misuses: Figure,
}

impl Totals {
    pub(super) fn new() -> Self {
        let zero = || Figure::new(0);
        Self {
            out_bytes: zero(),
            peak_bytes: zero(),
            pages: zero(),
            peak_pages: zero(),
            retired: zero(),
            misuses: zero(),
        }
    }

    /// Bytes of objects that left their slabs.
    pub(super) fn add(&self, bytes: u64) {
        raise(&self.peak_bytes, self.out_bytes.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes));
    }

    pub(super) fn sub(&self, bytes: u64) {
        self.out_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_pages(&self, pages: u32) {
        let pages = u64::from(pages);
        raise(&self.peak_pages, self.pages.fetch_add(pages, Ordering::Relaxed) + pages);
    }

    /// Bytes of all pages that were taken.
    pub(super) fn held_bytes(&self) -> u64 {
        self.pages.load(Ordering::Relaxed) << crate::PAGE_SHIFT
    }

    pub(super) fn sub_pages(&self, pages: u32) {
        self.pages.fetch_sub(u64::from(pages), Ordering::Relaxed);
    }
}

/// Raises a peak; a look first, for it is rarely needed.
fn raise(peak: &Figure, value: u64) {
    if value > peak.load(Ordering::Relaxed) {
        peak.fetch_max(value, Ordering::Relaxed);
    }
}

/// Figures of a slab allocator.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlabStats {
    /// Bytes of objects that users have (rounded up to their classes); in debug mode those in quarantine, too.
    pub live_bytes: u64,
    /// The most bytes that were ever out of the slabs at once: with users or in magazines.
    pub peak_bytes: u64,
    /// Bytes of all slabs' pages, and of the runs of pages of a heap on top.
    pub held_bytes: u64,
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
    /// Bytes of the slabs' pages that belong to no object.
    pub waste_bytes: u64,
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Figures. Nothing is allocated; all bookkeeping of slabs and magazines is read. Takes about 5 KiB of stack.
    /// Context: *any*.
    pub fn stats(&self) -> SlabStats {
        let mut classes = [ClassStats::new(); CLASS_COUNT];
        for (class, figures) in SizeClass::all().zip(&mut classes) {
            figures.size = class.size();
        }
        self.tables().headers.iter().for_each(|header| count_slab(header, &mut classes));
        self.count_cached(&mut classes);
        let mut live_bytes = 0;
        for figures in &mut classes {
            figures.live = figures.objects.saturating_sub(figures.free + figures.cached);
            live_bytes += figures.live * figures.size as u64;
        }
        let totals = &self.totals.0;
        SlabStats {
            live_bytes,
            peak_bytes: totals.peak_bytes.load(Ordering::Relaxed),
            held_bytes: totals.held_bytes(),
            peak_held_bytes: totals.peak_pages.load(Ordering::Relaxed) << crate::PAGE_SHIFT,
            metadata_bytes: u64::from(self.metadata_pages()) << crate::PAGE_SHIFT,
            misuses: totals.misuses.load(Ordering::Relaxed),
            classes,
        }
    }

    /// What the racks and the depots hold. A full magazine on its way between them is missed.
    fn count_cached(&self, classes: &mut [ClassStats; CLASS_COUNT]) {
        for (class, figures) in SizeClass::all().zip(classes.iter_mut()) {
            let stored = self.class(class).map_or(0, |state| state.stored.load(Ordering::Relaxed));
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

impl ClassStats {
    const fn new() -> Self {
        Self { size: 0, slabs: 0, objects: 0, live: 0, cached: 0, free: 0, waste_bytes: 0 }
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
