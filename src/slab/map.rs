//! Which slab a page belongs to.

use core::ptr;

use super::header::Header;
use crate::addr::PageRange;
use crate::source::{METADATA_PAGE_BYTES, MetadataSource};
use crate::store::Radix;
use crate::sync::{AtomicPtr, Ordering};

/// Pages that a leaf of the map is for.
const LEAF_PAGES: u32 = if cfg!(loom) { 8 } else { 512 };

/// A leaf: for each page the header of its slab, or null.
#[derive(Debug)]
struct Leaf([AtomicPtr<Header>; LEAF_PAGES as usize]);

/// The map; its leaves are made when a slab first lies on their pages.
#[derive(Debug)]
pub(super) struct PageMap {
    leaves: Radix<Leaf, 4>,
}

impl PageMap {
    pub(super) fn new() -> Self {
        Self { leaves: Radix::new() }
    }

    /// The header of the slab that a page belongs to, or belonged to a moment ago.
    #[inline]
    pub(super) fn get(&self, page: u32) -> Option<&Header> {
        let entry = &self.leaves.get(page / LEAF_PAGES)?.0[(page % LEAF_PAGES) as usize];
        // SAFETY: headers are never unmade while the slab allocator is there. Acquire: built before it was set.
        unsafe { entry.load(Ordering::Acquire).as_ref() }
    }

    /// Makes sure that there is a leaf for each of these pages; says whether there was memory for it.
    pub(super) fn prepare(&self, pages: PageRange, metadata: &impl MetadataSource) -> bool {
        let numbers = pages.numbers();
        let leaves = numbers.start / LEAF_PAGES..=(numbers.end - 1) / LEAF_PAGES;
        leaves.into_iter().all(|leaf| self.prepare_leaf(leaf, metadata).is_some())
    }

    fn prepare_leaf(&self, number: u32, metadata: &impl MetadataSource) -> Option<()> {
        const { assert!(size_of::<Leaf>() <= METADATA_PAGE_BYTES) };
        let entry = self.leaves.entry_or_build(number, metadata)?;
        if !entry.load(Ordering::Relaxed).is_null() {
            return Some(());
        }
        let Some(page) = metadata.alloc() else {
            // Another CPU may have built it a moment ago.
            return (!entry.load(Ordering::Acquire).is_null()).then_some(());
        };
        let leaf = page.cast::<Leaf>();
        for nth in 0..LEAF_PAGES as usize {
            // SAFETY: a leaf has that many entries.
            let slot = unsafe { leaf.cast::<AtomicPtr<Header>>().add(nth) };
            // SAFETY: the page is ours alone, large enough (asserted above) and aligned.
            unsafe { slot.write(AtomicPtr::new(ptr::null_mut())) };
        }
        // Release: built before it can be found. Who was slower gives his page back.
        if entry.compare_exchange(ptr::null_mut(), leaf.as_ptr(), Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: taken above, shown to nobody.
            unsafe { metadata.free(page) };
        }
        Some(())
    }

    /// Says whose these pages are. They have leaves, and are in the hands of the caller.
    pub(super) fn set(&self, pages: PageRange, header: Option<&Header>) {
        let header = header.map_or(ptr::null(), ptr::from_ref).cast_mut();
        for page in pages.numbers() {
            if let Some(leaf) = self.leaves.get(page / LEAF_PAGES) {
                leaf.0[(page % LEAF_PAGES) as usize].store(header, Ordering::Release);
            }
        }
    }

    /// How many metadata pages it takes.
    pub(super) fn metadata_pages(&self) -> u32 {
        self.leaves.node_count() + self.leaves.set_count()
    }

    pub(super) fn dismantle(&mut self, metadata: &impl MetadataSource) {
        self.leaves.dismantle(metadata, |leaf| {
            // SAFETY: the page of a leaf, which nothing points to any more.
            unsafe { metadata.free(leaf.cast()) };
        });
    }
}
