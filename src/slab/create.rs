//! The beginning and the end of a slab allocator.

use core::fmt;

use super::classes::{CLASS_COUNT, SizeClass};
use super::racks::RackTable;
use super::{Mode, Slab, SlabError};
use crate::PAGE_SHIFT;
use crate::source::{MetadataSource, PageSource};
use crate::store::new_blank;

/// The reserve has at least so many pages: 64 KiB.
const LEAST_RESERVE: u32 = if cfg!(kernel_arena_loom) { 0 } else { 16 };
/// And at most so many: 8 MiB.
const MOST_RESERVE: u32 = 2048;
/// The reserve, as a fraction of all pages there are.
const RESERVE_FRACTION: u32 = 512;
/// What depots keep together beyond what each may for itself, as a fraction of all pages there are.
const SURPLUS_FRACTION: u32 = 512;
/// And at most so many pages: 8 MiB.
const MOST_SURPLUS: u32 = 2048;

/// No slab allocator was made: why, and what was lent for it.
pub struct SlabRefused<S, M> {
    /// What is missing.
    pub error: SlabError,
    /// The page source, untouched.
    pub source: S,
    /// The metadata source; every page went back.
    pub metadata: M,
}

/// What comes back from an allocator that was taken down. The memory of objects is gone.
#[derive(Debug)]
#[must_use = "objects that are still out are lost"]
#[non_exhaustive]
pub struct SlabLeftovers<S, M> {
    /// The page source, which has all pages of slabs back.
    pub source: S,
    /// The metadata source, which has all its pages back.
    pub metadata: M,
    /// How many objects were still with users.
    pub objects: u64,
    /// Their size, rounded up to their classes.
    pub bytes: u64,
    /// Bytes of runs of pages that a heap on top handed out and did not get back: these pages stay taken.
    pub run_bytes: u64,
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// An allocator on these pages that writes its bookkeeping into pages of `metadata`: nine to begin with, then
    /// 0.4 % of the memory that it hands out (1.8 % where objects have 16 bytes, 3.3 % where 8), two magazines (1.1 KiB)
    /// for each CPU, level and class that is used, and what map and tables take.
    ///
    /// # Errors
    /// [`SlabRefused`] with [`SlabError::OutOfMetadata`]: the sources come back as they were.
    pub fn new(source: S, metadata: M, mode: Mode) -> Result<Self, SlabRefused<S, M>> {
        let Some(tables) = new_blank(&metadata) else {
            return Err(SlabRefused { error: SlabError::OutOfMetadata, source, metadata });
        };
        let pages = source.extent().count().get();
        let mut slab = Self {
            base: source.base(),
            racks: RackTable::new(),
            mode,
            reserve_pages: (pages / RESERVE_FRACTION).clamp(LEAST_RESERVE, MOST_RESERVE),
            most_surplus: (pages / SURPLUS_FRACTION).min(MOST_SURPLUS) << PAGE_SHIFT,
            tables,
            source,
            metadata,
        };
        if slab.prepare().is_some() {
            return Ok(slab);
        }
        slab.dismantle();
        Err(SlabRefused { error: SlabError::OutOfMetadata, source: slab.source, metadata: slab.metadata })
    }

    /// Makes the states of the classes, which a new store hands out in order, and the dummies.
    fn prepare(&mut self) -> Option<()> {
        // SAFETY: built before the allocator, and taken down with it.
        let tables = unsafe { self.tables.as_ref() };
        for class in 0..CLASS_COUNT {
            let index = tables.classes.take(&self.metadata)?;
            debug_assert_eq!(index as usize, class);
        }
        let magazine = tables.magazines.get(tables.magazines.take(&self.metadata)?)?;
        let rack = tables.racks.get(tables.racks.take(&self.metadata)?)?;
        rack.unbind_all(magazine);
        self.racks.prepare(rack, &self.metadata).then_some(())
    }

    /// Takes the allocator down: all pages of slabs go back to their source, those of objects that are still out
    /// included, and all bookkeeping. An allocator that is dropped instead leaves everything taken.
    ///
    /// Owning the allocator proves that no operation is going on in it. Context: *any* in which both sources may be
    /// called.
    pub fn destroy(mut self) -> SlabLeftovers<S, M> {
        for rack in self.racks.iter() {
            self.give_runs_of(rack);
            for class in SizeClass::all() {
                self.flush(class, rack.loaded(class));
                self.flush(class, rack.previous(class));
            }
        }
        self.drain();
        let (mut objects, mut bytes) = (0, 0);
        let slabs = self.tables().headers.iter().filter_map(|header| Some((header, header.description()?)));
        for (header, slab) in slabs {
            let out = u64::from(slab.objects() - header.count());
            objects += out;
            bytes += out * slab.class().size() as u64;
            // SAFETY: the slab's own pages. Whoever still has objects of it was told that their memory goes.
            unsafe { self.source.free_pages(slab.pages()) };
        }
        let run_bytes = self.tables().totals.0.run_bytes();
        self.dismantle();
        SlabLeftovers { source: self.source, metadata: self.metadata, objects, bytes, run_bytes }
    }

    /// The allocator is not used again.
    fn dismantle(&mut self) {
        self.racks.dismantle(&self.metadata);
        // SAFETY: nobody else has the allocator.
        unsafe { self.tables.as_mut() }.dismantle(&self.metadata);
        // SAFETY: their own page, which nothing points to any more; they need no drop.
        unsafe { self.metadata.free(self.tables.cast()) };
    }
}

impl<S, M> From<SlabRefused<S, M>> for SlabError {
    fn from(refused: SlabRefused<S, M>) -> Self {
        refused.error
    }
}

impl<S, M> fmt::Debug for SlabRefused<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlabRefused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S, M> fmt::Display for SlabRefused<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S, M> core::error::Error for SlabRefused<S, M> {}
