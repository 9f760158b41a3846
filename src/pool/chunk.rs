//! Chunks: pages that came from the source together, and go back together.

use super::Pool;
use super::record::PageRecord;
use super::run::Run;
use crate::addr::{PageCount, PageRange};
use crate::source::{MetadataSource, PageSource};
use crate::sync::{Ordering, fence};

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

    /// Keeps a chunk for the next allocation if nothing in it is used, as far as can be seen; the one that was kept until
    /// now goes back if it is (still) free.
    ///
    /// The chunk that is kept is not looked at: whoever keeps another instead looks at it. Of him and who frees its last
    /// granules one sees what the other did, for both have a fence between their write (of the name, of granules) and
    /// their look (at granules, at the name).
    #[inline]
    pub(super) fn keep_if_free(&self, chunk: PageRange) {
        let name = chunk.first().number() + 1;
        if self.spare.0.load(Ordering::Relaxed) != name && self.is_free(chunk) {
            self.keep(name);
        }
    }

    #[cold]
    fn keep(&self, name: u32) {
        // Relaxed: whatever it names is looked at before anything is done.
        let before = self.spare.0.swap(name, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if before == 0 || before == name {
            return;
        }
        if let Some(kept) = self.ledger.chunk_of(before - 1) {
            self.give_back(kept);
        }
    }

    /// Whether nothing in a chunk is used, as far as can be seen.
    fn is_free(&self, chunk: PageRange) -> bool {
        chunk.numbers().all(|page| self.ledger.record(page).is_some_and(PageRecord::is_free))
    }

    /// Gives a chunk back to the source if nothing in it is used, and says whether it did.
    pub(super) fn give_back(&self, chunk: PageRange) -> bool {
        let all = Run::of_pages(chunk);
        if !self.is_free(chunk) || !self.ledger.claim(all) {
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
