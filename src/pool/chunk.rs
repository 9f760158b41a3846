//! Chunks: pages that came from the source together, and go back together.

use super::Pool;
use super::record::PAGE_WORDS;
use super::run::Run;
use crate::addr::{PageCount, PageRange};
use crate::source::{MetadataSource, PageSource};
use crate::sync::Ordering;

/// A chunk as a word: the first page, and above it the number of pages, which is not 0.
pub(super) fn to_word(chunk: Option<PageRange>) -> u64 {
    chunk.map_or(0, |pages| u64::from(pages.count().get()) << 32 | u64::from(pages.first().number()))
}

/// What [`to_word`] wrote.
#[expect(clippy::cast_possible_truncation, reason = "each half is a number of 32 bits")]
pub(super) fn from_word(word: u64) -> Option<PageRange> {
    (word != 0).then(|| PageRange::of(word as u32, (word >> 32) as u32))
}

impl<S: PageSource, M: MetadataSource> Pool<S, M> {
    /// Gives all free chunks back to the source, and says how many pages that were.
    ///
    /// Context: *any* in which the page source may be called.
    pub fn shrink(&self) -> PageCount {
        let returned = self.ledger.chunks().filter(|chunk| self.give_back(*chunk));
        PageCount::saturating(returned.map(|chunk| chunk.count().get()).sum())
    }

    /// The same, and has the source finish what frees left to do.
    ///
    /// Context: *may wait* for other CPUs, as the source does.
    pub fn reclaim(&self) -> PageCount {
        let returned = self.shrink();
        self.source.reclaim();
        returned
    }

    /// Whether nothing in a chunk is used, as far as can be seen; first where `freed` was, which may share words with
    /// others.
    pub(super) fn is_free(&self, chunk: PageRange, freed: Run) -> bool {
        let pages = chunk.numbers();
        let words = pages.start * PAGE_WORDS..pages.end * PAGE_WORDS;
        let edges = [freed.first / 64, freed.last() / 64];
        let near = edges.into_iter().filter(|word| words.contains(word));
        near.chain(words.clone()).all(|word| self.ledger.taken_bits(word) == 0)
    }

    /// Keeps a free chunk for the next allocation; the one that was kept until now goes back if it is (still) free.
    pub(super) fn keep_or_return(&self, chunk: PageRange) {
        let name = chunk.first().number() + 1;
        // Relaxed: whatever it names is looked at before anything is done.
        let before = self.spare.0.swap(name, Ordering::Relaxed);
        if before == 0 || before == name {
            return;
        }
        if let Some(kept) = self.ledger.chunk_of(before - 1) {
            self.give_back(kept);
        }
    }

    /// Gives a chunk back to the source if nothing in it is used, and says whether it did.
    pub(super) fn give_back(&self, chunk: PageRange) -> bool {
        let all = Run::of_pages(chunk);
        if !self.is_free(chunk, all) || !self.ledger.claim(all) {
            return false;
        }
        // All granules are ours, so what is written here now stays; but it may not be what the caller read.
        if !chunk.numbers().all(|page| self.ledger.chunk_of(page) == Some(chunk)) {
            self.ledger.unclaim(all);
            return false;
        }
        self.ledger.set_chunk(chunk, None);
        // SAFETY: taken from this source together, and given back once: the words that said so were cleared by the one
        // who had claimed every granule. They stay taken, so nobody gets a block there.
        unsafe { self.source.free_pages(chunk) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_chunks() {
        for chunk in
            [PageRange::of(0, 1), PageRange::of(1, 4), PageRange::of((1 << 20) - 1, 1), PageRange::of(0, 1 << 20)]
        {
            assert_eq!(from_word(to_word(Some(chunk))), Some(chunk));
        }
        assert_eq!(from_word(to_word(None)), None);
    }
}
