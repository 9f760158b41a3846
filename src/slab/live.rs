//! Which objects were handed out to be freed by a checked free (O7): one bit for every 8 bytes of the window, set where
//! such an object starts.
//!
//! The bit *is* the right to free: whoever clears it (one atomic operation) may, and nobody else. It belongs to the
//! address, not to a slab's header, so a free that comes late, when the page is another slab's, still speaks of the
//! address it names. And because an object whose bit is set is in nobody's slab or magazine, its slab is pinned from
//! the clearing on.

use crate::addr::PAGE_SHIFT;
use crate::source::{METADATA_PAGE_BYTES, MetadataSource};
use crate::store::Radix;
use crate::sync::{AtomicU64, Ordering};

/// Window pages that a leaf is for.
const LEAF_PAGES: u32 = if cfg!(loom) { 1 } else { 64 };
/// Words of a window page: one bit for every 8 bytes.
const PAGE_WORDS: u32 = (1 << PAGE_SHIFT) / 8 / 64;
const LEAF_WORDS: usize = (LEAF_PAGES * PAGE_WORDS) as usize;

#[derive(Debug)]
struct Leaf([AtomicU64; LEAF_WORDS]);

/// The bits; leaves are made when an object in them is first handed out.
#[derive(Debug)]
pub(super) struct LiveMap {
    leaves: Radix<Leaf, { super::roots(32) }>,
}

impl LiveMap {
    pub(super) fn new() -> Self {
        Self { leaves: Radix::new() }
    }

    fn word(&self, offset: u32) -> Option<(&AtomicU64, u64)> {
        let leaf = self.leaves.get((offset >> PAGE_SHIFT) / LEAF_PAGES)?;
        let grain = offset / 8;
        Some((&leaf.0[(grain / 64) as usize % LEAF_WORDS], 1 << (grain % 64)))
    }

    /// Notes that the object at this offset may be freed, and says whether that was noted already; `None` if there is
    /// no memory for the note.
    pub(super) fn set(&self, offset: u32, metadata: &impl MetadataSource) -> Option<bool> {
        if self.word(offset).is_none() {
            // Where there is no memory for it, another CPU may have built it a moment ago.
            let _ = self.build(offset, metadata);
        }
        let (word, bit) = self.word(offset)?;
        // Release: what was done to the object until now comes before whatever its free does.
        Some(word.fetch_or(bit, Ordering::Release) & bit != 0)
    }

    /// Takes the right to free the object at this offset; says whether there was one. Acquire: pairs with `set`.
    pub(super) fn clear(&self, offset: u32) -> bool {
        let aligned = offset % 8 == 0;
        aligned && self.word(offset).is_some_and(|(word, bit)| word.fetch_and(!bit, Ordering::AcqRel) & bit != 0)
    }

    fn build(&self, offset: u32, metadata: &impl MetadataSource) -> Option<()> {
        const { assert!(size_of::<Leaf>() <= METADATA_PAGE_BYTES) };
        let entry = self.leaves.entry_or_build((offset >> PAGE_SHIFT) / LEAF_PAGES, metadata)?;
        let page = metadata.alloc()?;
        let leaf = page.cast::<Leaf>();
        for nth in 0..LEAF_WORDS {
            // SAFETY: a leaf has that many words.
            let word = unsafe { leaf.cast::<AtomicU64>().add(nth) };
            // SAFETY: the page is ours alone, large enough (asserted above) and aligned.
            unsafe { word.write(AtomicU64::new(0)) };
        }
        // Release: built before it can be found. Who was slower gives his page back.
        let null = core::ptr::null_mut();
        if entry.compare_exchange(null, leaf.as_ptr(), Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: taken above, shown to nobody.
            unsafe { metadata.free(page) };
        }
        Some(())
    }

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
