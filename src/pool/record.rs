//! What is known of pages, granule by granule, and how it is written down in a page of metadata.

use core::ptr::NonNull;

use super::GRANULE_BYTES;
use crate::addr::PAGE_SHIFT;
use crate::pages::Bound;
use crate::source::{METADATA_PAGE_BYTES, MetadataPage};
use crate::store::FANOUT;
use crate::sync::{AtomicU64, Ordering, write_words};

/// Granules in a page.
pub(super) const PAGE_GRANULES: u32 = (1 << PAGE_SHIFT) / GRANULE_BYTES;
/// Words of 64 granules in a page.
pub(super) const PAGE_WORDS: u32 = PAGE_GRANULES / 64;
/// Granules whose start bits share a word with a count of blocks.
const STARTS_PER_WORD: u32 = 32;
/// Pages whose records share a page of metadata: 15, what fits; under `cfg(kernel_arena_loom)` two. A model's words are larger.
#[expect(clippy::cast_possible_truncation, reason = "a page has at most 2^16 bytes")]
pub(super) const GROUP_PAGES: u32 = {
    // A page's record, its chunk and half a bound; and the word of full pages, and another half.
    let words = METADATA_PAGE_BYTES / size_of::<AtomicU64>() - 2;
    let fit = 2 * words / (2 * (size_of::<PageRecord>() / size_of::<AtomicU64>() + 1) + 1);
    if cfg!(kernel_arena_loom) || fit == 0 { 2 } else { fit as u32 }
};
/// Pages whose groups share a node of the ledger's table.
pub(super) const NODE_PAGES: u32 = GROUP_PAGES * FANOUT;

/// The record of a page.
#[derive(Debug)]
#[repr(C)]
pub(super) struct PageRecord {
    /// Granules that nobody may claim: those of blocks, those that an operation holds, and all where the pool has no page.
    pub(super) taken: [AtomicU64; PAGE_WORDS as usize],
    /// The last granule of each block.
    pub(super) ends: [AtomicU64; PAGE_WORDS as usize],
    /// In the low half the first granule of each live block; in the high half how many blocks were published here
    /// (modulo 2^32, which nobody is interrupted for).
    starts: [AtomicU64; (PAGE_GRANULES / STARTS_PER_WORD) as usize],
}

/// A bit, and the word that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bit<'a> {
    pub(super) word: &'a AtomicU64,
    pub(super) bit: u64,
}

impl Bit<'_> {
    /// Sets a start bit, and counts the block. Its granule is the caller's, so the bit is clear: nothing is carried.
    ///
    /// Release: who finds the bit finds the block.
    pub(super) fn publish(self) {
        self.word.fetch_add((1 << STARTS_PER_WORD) | self.bit, Ordering::Release);
    }
}

impl PageRecord {
    /// The start bit of a granule of the page, wherever that lies.
    #[inline]
    pub(super) fn start(&self, granule: u32) -> Bit<'_> {
        let word = &self.starts[(granule / STARTS_PER_WORD % (PAGE_GRANULES / STARTS_PER_WORD)) as usize];
        Bit { word, bit: 1 << (granule % STARTS_PER_WORD) }
    }

    /// The end bit of one.
    #[inline]
    pub(super) fn end(&self, granule: u32) -> Bit<'_> {
        Bit { word: &self.ends[(granule / 64 % PAGE_WORDS) as usize], bit: 1 << (granule % 64) }
    }

    /// How many live blocks start in the page.
    pub(super) fn blocks(&self) -> u32 {
        let live = |word: &AtomicU64| (word.load(Ordering::Relaxed) << STARTS_PER_WORD).count_ones();
        self.starts.iter().map(live).sum()
    }

    /// Whether no granule of the page is taken.
    pub(super) fn is_free(&self) -> bool {
        self.taken.iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }

    /// How many granules of the page are taken.
    pub(super) fn taken_count(&self) -> u32 {
        self.taken.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
    }
}

/// The records of [`GROUP_PAGES`] pages: a page of metadata.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Group {
    /// A bit a page: no granule of it is to be had. A hint; bits that stand for no page are set.
    pub(super) full: AtomicU64,
    /// How long a run of granules in a page can be, two pages a word (`pages::free_map`).
    pub(super) bounds: [AtomicU64; GROUP_PAGES.div_ceil(2) as usize],
    /// The chunk that each page belongs to (`chunk`); 0 where the pool has none.
    pub(super) chunks: [AtomicU64; GROUP_PAGES as usize],
    pub(super) pages: [PageRecord; GROUP_PAGES as usize],
}

/// A group is nothing but words, each in its place.
const GROUP_WORDS: usize = size_of::<Group>() / size_of::<AtomicU64>();
const _: () = assert!(size_of::<Group>() <= METADATA_PAGE_BYTES && align_of::<Group>() <= align_of::<MetadataPage>());

impl Group {
    /// Builds the records of pages that the pool does not have.
    ///
    /// # Safety
    /// The page is the caller's alone.
    pub(super) unsafe fn build(page: NonNull<MetadataPage>) -> NonNull<Self> {
        // SAFETY: the page is the caller's, aligned, and has room for these words (asserted above).
        let words = unsafe { core::slice::from_raw_parts_mut(page.as_ptr().cast(), GROUP_WORDS) };
        write_words(words, 0);
        let group = page.cast::<Self>();
        // SAFETY: `repr(C)` of arrays of one type, so the words above are all that it consists of.
        let built = unsafe { group.as_ref() };
        // Relaxed: it is shown to nobody yet.
        built.full.store(!0, Ordering::Relaxed);
        if let Some(last) = built.bounds.last().filter(|_| GROUP_PAGES % 2 == 1) {
            last.store(Bound::FIRST_ONLY, Ordering::Relaxed);
        }
        for word in built.pages.iter().flat_map(|page| &page.taken) {
            word.store(!0, Ordering::Relaxed);
        }
        group
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_group_fills_its_page_and_starts_taken() {
        let page = NonNull::from(Box::leak(Box::<MetadataPage>::new_uninit())).cast::<MetadataPage>();
        // SAFETY: leaked above.
        let group = unsafe { Group::build(page) };
        // SAFETY: built above, and never taken down.
        let group = unsafe { group.as_ref() };
        assert!(size_of::<Group>() + size_of::<PageRecord>() > METADATA_PAGE_BYTES, "one more page would fit");
        assert!(group.pages.iter().all(|page| page.blocks() == 0 && page.taken_count() == 512));
    }

    #[test]
    fn a_word_of_starts_is_never_the_same_twice() {
        let word = AtomicU64::new(0);
        let start = Bit { word: &word, bit: 1 << 31 };
        start.publish();
        let before = word.load(Ordering::Relaxed);
        assert_eq!(before, (1 << 32) | (1 << 31));
        word.fetch_and(!start.bit, Ordering::Relaxed);
        start.publish();
        assert_ne!(word.load(Ordering::Relaxed), before);
        // The count comes round without touching a bit.
        word.store(!start.bit, Ordering::Relaxed);
        start.publish();
        assert_eq!(word.load(Ordering::Relaxed), 0xffff_ffff);
    }
}
