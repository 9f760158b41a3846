//! Which slab a page belongs to.

use core::ptr;

use super::header::Header;
use crate::addr::PageRange;
use crate::source::MetadataSource;
use crate::store::{Blank, Radix, new_array};
use crate::sync::{AtomicPtr, Ordering};

/// Pages that a leaf of the map is for.
const LEAF_PAGES: u32 = if cfg!(kernel_arena_loom) { 8 } else { 512 };

/// A leaf: for each page the header of its slab, or null.
type Leaf = [AtomicPtr<Header>; LEAF_PAGES as usize];

/// The map; its leaves are made when a slab first lies on their pages.
#[derive(Debug)]
pub(super) struct PageMap {
    leaves: Radix<Leaf, 4>,
}

// SAFETY: a blank table.
unsafe impl Blank for PageMap {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self { leaves: Radix::blank() }
    }
}

impl PageMap {
    /// The header of the slab that a page belongs to, or belonged to a moment ago.
    #[inline]
    pub(super) fn get(&self, page: u32) -> Option<&Header> {
        let entry = &self.leaves.get(page / LEAF_PAGES)?[(page % LEAF_PAGES) as usize];
        // SAFETY: headers are never unmade while the slab allocator is there. Acquire: built before it was set.
        unsafe { entry.load(Ordering::Acquire).as_ref() }
    }

    /// Makes sure that there is a leaf for each of these pages; says whether there was memory for it.
    pub(super) fn prepare(&self, pages: PageRange, metadata: &impl MetadataSource) -> bool {
        let numbers = pages.numbers();
        let leaves = numbers.start / LEAF_PAGES..=(numbers.end - 1) / LEAF_PAGES;
        let empty = |metadata: &_| new_array(metadata, || AtomicPtr::new(ptr::null_mut()));
        leaves.into_iter().all(|leaf| self.leaves.get_or_build(leaf, metadata, empty).is_some())
    }

    /// Says whose these pages are. They have leaves, and are in the hands of the caller.
    pub(super) fn set(&self, pages: PageRange, header: Option<&Header>) {
        let header = header.map_or(ptr::null(), ptr::from_ref).cast_mut();
        for page in pages.numbers() {
            if let Some(leaf) = self.leaves.get(page / LEAF_PAGES) {
                leaf[(page % LEAF_PAGES) as usize].store(header, Ordering::Release);
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
