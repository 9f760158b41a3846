//! Which objects were handed out to be freed by a checked free (O7): one bit for every 8 bytes of the window, set where
//! such an object starts.
//!
//! The bit *is* the right to free: whoever clears it (one atomic operation) may, and nobody else. It belongs to the
//! address, not to a slab's header, so a free that comes late, when the page is another slab's, still speaks of the
//! address it names. And because an object whose bit is set is in nobody's slab or magazine, its slab is pinned from
//! the clearing on.

use crate::addr::PAGE_SHIFT;
use crate::source::MetadataSource;
use crate::store::{Blank, Radix, new_array};
use crate::sync::{AtomicU64, Ordering};

/// Window pages that a leaf is for.
const LEAF_PAGES: u32 = if cfg!(kernel_arena_loom) { 1 } else { 64 };
/// Words of a window page: one bit for every 8 bytes.
const PAGE_WORDS: u32 = (1 << PAGE_SHIFT) / 8 / 64;
const LEAF_WORDS: usize = (LEAF_PAGES * PAGE_WORDS) as usize;

type Leaf = [AtomicU64; LEAF_WORDS];

/// The bits; leaves are made when an object in them is first handed out.
#[derive(Debug)]
pub(super) struct LiveMap {
    leaves: Radix<Leaf, { super::roots(32) }>,
}

/// The number of the leaf that an offset belongs to.
const fn leaf_of(offset: u32) -> u32 {
    (offset >> PAGE_SHIFT) / LEAF_PAGES
}

/// The word and the bit of an offset.
fn bit_in(leaf: &Leaf, offset: u32) -> (&AtomicU64, u64) {
    let grain = offset / 8;
    (&leaf[(grain / 64) as usize % LEAF_WORDS], 1 << (grain % 64))
}

// SAFETY: a blank table.
unsafe impl Blank for LiveMap {
    #[cfg(kernel_arena_loom)]
    fn blank() -> Self {
        Self { leaves: Radix::blank() }
    }
}

impl LiveMap {
    /// The bit of an offset, if its leaf is there.
    fn bit(&self, offset: u32) -> Option<(&AtomicU64, u64)> {
        self.leaves.get(leaf_of(offset)).map(|leaf| bit_in(leaf, offset))
    }

    /// Notes that the object at this offset may be freed, and says whether that was noted already; `None` if there is
    /// no memory for the note.
    pub(super) fn set(&self, offset: u32, metadata: &impl MetadataSource) -> Option<bool> {
        let clear = |metadata: &_| new_array(metadata, || AtomicU64::new(0));
        let leaf = self.leaves.get_or_build(leaf_of(offset), metadata, clear)?;
        let (word, bit) = bit_in(leaf, offset);
        // Release: what was done to the object until now comes before whatever its free does.
        Some(word.fetch_or(bit, Ordering::Release) & bit != 0)
    }

    /// Whether the object at this offset may be freed, as far as can be seen.
    pub(super) fn is_set(&self, offset: u32) -> bool {
        offset % 8 == 0 && self.bit(offset).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Takes the right to free the object at this offset; says whether there was one. Acquire: pairs with `set`.
    pub(super) fn clear(&self, offset: u32) -> bool {
        let aligned = offset % 8 == 0;
        aligned && self.bit(offset).is_some_and(|(word, bit)| word.fetch_and(!bit, Ordering::AcqRel) & bit != 0)
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
