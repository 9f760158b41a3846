//! Slabs that are empty: which they are, and how many of them stay.
//!
//! A header has a *mark*: the number of its slab's pages while all objects are in, else 0. The allocator keeps the sum.
//! So whoever looks for pages to give back need not ask every slab, and knows from one word when there are none; and
//! one *reserve* serves all classes: as long as the marked pages are no more than that, an empty slab stays, whatever
//! its class. Beyond it one goes, unless its class would have less left in other slabs than this one holds: an
//! allocation at the edge of a slab does not make and unmake it each time.
//!
//! Whoever fills a word looks whether the slab is empty now. Of several who do so at once, each into another word, at
//! least one sees what all did: between its own word and the others each has a fence (SeqCst), and who comes last in
//! their order sees everything. Without it each may see its own word only, and the empty slab would be nobody's.
//!
//! Whoever changes a mark looks again afterwards ([`settle`](Slab::settle)), so the last to change it leaves what is
//! true. A mark changes by a swap, Acquire and Release, so the later sees what the earlier saw. An object
//! that is taken at the same moment may leave a mark on a slab that is not empty: too many are marked then, never too
//! few, until somebody takes from that slab again or looks at its mark.

use super::Slab;
use super::header::{Description, Header};
use crate::source::{MetadataSource, PageSource};
use crate::sync::{Ordering, fence};

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// After a word was filled: notes whether the slab is empty, and says so.
    pub(super) fn note_if_empty(&self, header: &Header) -> bool {
        fence(Ordering::SeqCst);
        empty_pages(header) != 0 && self.settle(header)
    }

    /// After objects were taken out of a slab that may be marked.
    pub(super) fn note_taken(&self, header: &Header) {
        if header.mark.load(Ordering::Relaxed) != 0 {
            self.settle(header);
        }
    }

    /// Makes the mark what the header says; says whether the slab is empty.
    fn settle(&self, header: &Header) -> bool {
        loop {
            let pages = empty_pages(header);
            self.set_mark(header, pages);
            if empty_pages(header) == pages {
                return pages != 0;
            }
        }
    }

    /// Changes a mark, and the sum of all: first up, then down, so that it is never less than what is marked.
    pub(super) fn set_mark(&self, header: &Header, pages: u32) {
        self.tables().empty_pages.0.fetch_add(pages, Ordering::Relaxed);
        let before = header.mark.swap(pages, Ordering::AcqRel);
        self.tables().empty_pages.0.fetch_sub(before, Ordering::Relaxed);
    }

    /// Whether more is kept than the reserve, and the class has at least as much as this slab in others.
    pub(super) fn is_spare(&self, slab: Description) -> bool {
        let objects = u64::from(slab.objects());
        let left = self.class(slab.class()).map_or(0, |class| class.free().saturating_sub(objects));
        left >= objects && self.tables().empty_pages.0.load(Ordering::Relaxed) > self.reserve_pages
    }

    /// Gives the pages of every empty slab back; says how many slabs went.
    pub(super) fn retire_empty(&self) -> u32 {
        if self.tables().empty_pages.0.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let marked = self.tables().headers.iter().filter(|header| header.mark.load(Ordering::Relaxed) != 0);
        let retired = marked.filter(|header| {
            let slab = header.description().filter(|_| self.settle(header));
            slab.is_some_and(|slab| self.retire(header, slab))
        });
        u32::try_from(retired.count()).unwrap_or(u32::MAX)
    }
}

/// The pages of the slab that a header stands for if all of its objects are in, else 0.
fn empty_pages(header: &Header) -> u32 {
    match header.description() {
        Some(slab) if header.count() == slab.objects() => slab.pages().count().get(),
        _ => 0,
    }
}
