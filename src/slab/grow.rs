//! New slabs.

use super::classes::SizeClass;
use super::header::{Description, Header};
use super::take::Taken;
use super::{Slab, SlabError};
use crate::addr::{PageCount, PageRange};
use crate::source::{MetadataSource, PageSource};
use crate::sync::Ordering;

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Makes a slab and takes up to `count` objects out of its first word before anybody else sees it.
    ///
    /// Any number may do so at once, each for himself. On an error everything that was taken goes back; what
    /// bookkeeping was made stays for the next time.
    pub(super) fn grow(&self, class: SizeClass, count: u32) -> Result<Taken<'_>, SlabError> {
        let index = self.tables().headers.take(&self.metadata).ok_or(SlabError::OutOfMetadata)?;
        let Some(header) = self.tables().headers.get(index) else { return Err(SlabError::OutOfMetadata) };
        let made = self.pages_for(class).and_then(|pages| self.make(header, class, pages, count));
        if made.is_err() {
            self.tables().headers.put(index);
        }
        made
    }

    /// Pages for a slab: as many as the class has slabs and one more, up to what it may have, so that a class with few
    /// objects takes little. Where memory is short, fewer; the next slab is tried with what was to be had, and twice as
    /// much after each success, so that a refusal asks the source once.
    fn pages_for(&self, class: SizeClass) -> Result<PageRange, SlabError> {
        let state = self.class(class).ok_or(SlabError::OutOfMetadata)?;
        let slabs = state.slabs.load(Ordering::Relaxed);
        let (least, full) = (class.least_slab_pages(), class.full_slab_pages());
        let most = match state.most_pages.load(Ordering::Relaxed) {
            0 => full,
            most => most.min(full),
        };
        let wanted = class.fitted(slabs.saturating_add(1).min(most).max(least));
        let mut pages = wanted;
        loop {
            match self.source.alloc_pages(PageCount::saturating(pages), PageCount::ONE) {
                Ok(run) => {
                    if pages < wanted || most < full {
                        state.most_pages.store(pages * 2, Ordering::Relaxed);
                    }
                    return Ok(run);
                }
                Err(error) if pages == least => {
                    state.most_pages.store(least, Ordering::Relaxed);
                    return Err(SlabError::Pages(error));
                }
                Err(_) => pages = class.fitted((pages / 2).max(least)),
            }
        }
    }

    fn make<'a>(
        &self,
        header: &'a Header,
        class: SizeClass,
        pages: PageRange,
        count: u32,
    ) -> Result<Taken<'a>, SlabError> {
        if !self.tables().map.prepare(pages, &self.metadata) {
            // SAFETY: taken a moment ago, and nobody uses them.
            unsafe { self.source.free_pages(pages) };
            return Err(SlabError::OutOfMetadata);
        }
        let slab = Description::new(class, pages);
        let own = slab.all(0) & (!0 >> 64_u32.saturating_sub(count.max(1)));
        // Nobody can take what is ours, so the slab is pinned before it is seen.
        header.describe(slab);
        self.tables().map.set(pages, Some(header));
        self.count_slab(slab);
        for word in 0..slab.words() {
            header.give(word, if word == 0 { slab.all(0) & !own } else { slab.all(word) });
        }
        if header.has_objects() {
            self.list(header);
        }
        Ok(Taken { header, slab, word: 0, objects: own })
    }
}
