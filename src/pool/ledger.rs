//! The records of all pages, and where they are.
//!
//! What is done with them stands in `claim` (runs that somebody has) and `block` (runs that somebody was given).

use super::chunk;
use super::record::{GROUP_PAGES, Group, NODE_PAGES, PAGE_WORDS, PageRecord};
use crate::addr::{PageRange, WINDOW_PAGES};
use crate::source::MetadataSource;
use crate::store::Radix;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Entries of the radix's root: 137, enough for the window; a model has a few pages.
const ROOT: usize = {
    let groups = WINDOW_PAGES.div_ceil(GROUP_PAGES);
    if cfg!(kernel_arena_loom) { 2 } else { groups.div_ceil(Radix::<Group, 1>::CAPACITY) as usize }
};
type Groups = Radix<Group, ROOT>;

/// The records.
#[derive(Debug)]
pub(super) struct Ledger {
    groups: Groups,
    /// No page below this one, and none from `high` on, was ever the pool's. Each moves in one direction only.
    low: AtomicU32,
    high: AtomicU32,
    /// A bit for each entry of the root: no granule of its pages is to be had. A hint.
    full_nodes: [AtomicU64; ROOT.div_ceil(64)],
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            groups: Groups::new(),
            low: AtomicU32::new(WINDOW_PAGES),
            high: AtomicU32::new(0),
            full_nodes: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    #[inline]
    pub(super) fn group(&self, page: u32) -> Option<(&Group, u32)> {
        Some((self.groups.get(page / GROUP_PAGES)?, page % GROUP_PAGES))
    }

    /// The word and the bit that say whether all pages of a page's node are full.
    fn node_note(&self, page: u32) -> Option<(&AtomicU64, u64)> {
        let node = page / NODE_PAGES;
        Some((self.full_nodes.get(node as usize / 64)?, 1 << (node % 64)))
    }

    /// Whether all pages of a page's node are noted as full.
    pub(super) fn is_noted_node(&self, page: u32) -> bool {
        self.node_note(page).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Notes that they are, as a search found.
    pub(super) fn note_full_node(&self, page: u32) {
        if let Some((word, bit)) = self.node_note(page) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Takes the note back.
    pub(super) fn note_open_node(&self, page: u32) {
        if let Some((word, bit)) = self.node_note(page).filter(|_| self.is_noted_node(page)) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Whether any page of a page's node can have a record.
    pub(super) fn has_node(&self, page: u32) -> bool {
        self.groups.has_node(page / GROUP_PAGES)
    }

    /// The record of a page, if there is one.
    #[inline]
    pub(super) fn record(&self, page: u32) -> Option<&PageRecord> {
        let (group, slot) = self.group(page)?;
        group.pages.get(slot as usize)
    }

    /// The word that says which chunk a page belongs to.
    fn chunk_word(&self, page: u32) -> Option<&AtomicU64> {
        let (group, slot) = self.group(page)?;
        group.chunks.get(slot as usize)
    }

    /// The chunk that a page belongs to. Relaxed: who has a granule of it has seen, when claiming it, what was
    /// written before the granules were first un-claimed; for anybody else it is a guess.
    pub(super) fn chunk_of(&self, page: u32) -> Option<PageRange> {
        chunk::from_word(self.chunk_word(page)?.load(Ordering::Relaxed))
    }

    /// Writes down that pages are a chunk, or that the pool has them no longer. The caller has all of their granules.
    pub(super) fn set_chunk(&self, pages: PageRange, chunk: Option<PageRange>) {
        for word in pages.numbers().filter_map(|page| self.chunk_word(page)) {
            word.store(chunk::to_word(chunk), Ordering::Relaxed);
        }
    }

    /// The pages that are or were the pool's lie in this range.
    pub(super) fn bounds(&self) -> (u32, u32) {
        (self.low.load(Ordering::Relaxed), self.high.load(Ordering::Relaxed))
    }

    /// The chunks, lowest first.
    pub(super) fn chunks(&self) -> impl Iterator<Item = PageRange> {
        let (mut page, high) = self.bounds();
        core::iter::from_fn(move || {
            while page < high {
                let here = page;
                let chunk = self.chunk_of(here);
                page = match chunk {
                    Some(chunk) => chunk.numbers().end.max(here + 1),
                    None if self.group(here).is_none() => (here / GROUP_PAGES + 1) * GROUP_PAGES,
                    None => here + 1,
                };
                if let Some(chunk) = chunk.filter(|chunk| chunk.first().number() == here) {
                    return Some(chunk);
                }
            }
            None
        })
    }

    /// Makes records for pages that the pool has not had before; `None` when there is no memory for them.
    pub(super) fn prepare(&self, pages: PageRange, metadata: &impl MetadataSource) -> Option<()> {
        let numbers = pages.numbers();
        for number in numbers.start / GROUP_PAGES..numbers.end.div_ceil(GROUP_PAGES) {
            // SAFETY: a page that was taken a moment ago, for this.
            let build = |metadata: &_| MetadataSource::alloc(metadata).map(|page| unsafe { Group::build(page) });
            self.groups.get_or_build(number, metadata, build)?;
        }
        self.low.fetch_min(numbers.start, Ordering::Relaxed);
        self.high.fetch_max(numbers.end, Ordering::Relaxed);
        Some(())
    }

    /// How many pages of metadata there are.
    pub(super) fn metadata_pages(&self) -> u32 {
        self.groups.node_count() + self.groups.set_count()
    }

    /// Gives all pages of metadata back.
    pub(super) fn dismantle(&mut self, metadata: &impl MetadataSource) {
        self.groups.dismantle(metadata, |group| {
            // SAFETY: the page that the group was built in, which nothing points to any more.
            unsafe { metadata.free(group.cast()) };
        });
    }

    /// The *taken* word of 64 granules.
    pub(super) fn taken(&self, word: u32) -> Option<&AtomicU64> {
        self.record(word / PAGE_WORDS)?.taken.get((word % PAGE_WORDS) as usize)
    }

    /// The *ends* word of 64 granules.
    pub(super) fn ends(&self, word: u32) -> Option<&AtomicU64> {
        self.record(word / PAGE_WORDS)?.ends.get((word % PAGE_WORDS) as usize)
    }

    /// Which of 64 granules are taken.
    pub(super) fn taken_bits(&self, word: u32) -> u64 {
        self.taken(word).map_or(!0, |taken| taken.load(Ordering::Relaxed))
    }
}
