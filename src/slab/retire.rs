//! Slabs that are empty: whoever takes every object out of one may give its pages back (O5).
//!
//! Nobody else has an object of it then, nor can get one: its bits are clear, no live bit is set (`live`), and the map
//! forgets its pages before they are given back. Whoever is late and looks at the header sees no bits. An attempt that
//! fails half-way, for somebody took an object meanwhile, puts back what it took.

use super::Slab;
use super::header::{Description, Header, LISTED, RETIRED};
use crate::source::{MetadataSource, PageSource};
use crate::sync::Ordering;

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Retires a slab that seemed empty; says whether it was.
    pub(super) fn retire(&self, header: &Header, seen: Description) -> bool {
        let words = seen.words();
        let taken = (0..words).find(|word| !header.take_all(*word, seen.all(*word))).unwrap_or(words);
        // If all were taken the header is pinned; was it still that slab's?
        if taken < words || header.description() != Some(seen) {
            (0..taken).for_each(|word| self.put(header, word, seen.all(word)));
            return false;
        }
        self.tables().map.set(seen.pages(), None);
        header.undescribe();
        self.set_mark(header, 0);
        self.count_slab_gone(seen);
        self.tables().totals.0.retired.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the slab's own pages, taken together; all of its objects are ours, so nobody uses them.
        unsafe { self.source.free_pages(seen.pages()) };
        // Release: who passes the header on does so after the lines above.
        if header.state.fetch_or(RETIRED, Ordering::AcqRel) & LISTED == 0 {
            self.pass_on(header);
        } else {
            self.tables().names_listed.store(1, Ordering::Relaxed);
        }
        true
    }
}
