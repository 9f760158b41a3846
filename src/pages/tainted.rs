//! Where scratch may be: a mark a page, a mark a region, and whether there is any at all.
//!
//! Mostly there is none. So the marks are counted (`counted`), and who asks for one page's looks at the count first: one
//! word, the same for all of them, which changes only with a fault or a healing.

use super::counted::AtLeast;
use super::{Bitmap, Marks};
use crate::sync::{Figure, Line, Ordering};

/// The marks.
#[derive(Debug)]
pub(crate) struct Tainted {
    pages: Marks,
    regions: Bitmap,
    marked: Line<AtLeast>,
    /// Whether the scratch page was taken away from a page other than by `reclaim`, which zeroes it. It is asked for nothing
    /// else, so a model need not try its orders.
    worn: Figure,
}

impl Tainted {
    pub(super) fn new(pages: Marks, regions: Bitmap) -> Self {
        Self { pages, regions, marked: Line(AtLeast::none()), worn: Figure::new(0) }
    }

    /// Whether any mark is set, or is being set or cleared.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        !self.marked.0.is_none()
    }

    /// Whether a page, or a slot of the guard, is marked, as whoever looks at the count first finds it.
    #[inline]
    pub(crate) fn is_marked(&self, bit: u32, order: Ordering) -> bool {
        self.any() && self.pages.bits().test(bit, order)
    }

    /// Whether a region is.
    #[inline]
    pub(crate) fn is_region_marked(&self, region: u32, order: Ordering) -> bool {
        self.any() && self.regions.test(region, order)
    }

    /// Notes that pages were healed whose scratch somebody may have written to. After their flush: what was written comes
    /// before. Release: pairs with [`take_worn`](Self::take_worn), by a read-modify-write, or it would end the release sequence of
    /// an earlier note.
    pub(crate) fn note_worn(&self) {
        self.worn.fetch_or(1, Ordering::Release);
    }

    /// Takes that back, if it was noted.
    pub(crate) fn take_worn(&self) -> bool {
        self.worn.load(Ordering::Relaxed) != 0 && self.worn.swap(0, Ordering::Acquire) != 0
    }

    /// The pages' marks, to be looked at.
    #[inline]
    pub(crate) const fn pages(&self) -> &Marks {
        &self.pages
    }

    /// The regions' marks, to be looked at.
    #[inline]
    pub(crate) const fn regions(&self) -> &Bitmap {
        &self.regions
    }

    /// Marks a page, or a slot of the guard.
    #[inline]
    pub(crate) fn mark_page(&self, bit: u32) {
        self.marked.0.set(1, || self.pages.set_bit(bit).into());
    }

    /// The same, and says whether [`note_page`](Self::note_page) must follow.
    #[inline]
    pub(crate) fn mark_page_unnoted(&self, bit: u32) -> bool {
        let mut to_be_noted = false;
        self.marked.0.set(1, || {
            let was_clear;
            (was_clear, to_be_noted) = self.pages.set_unnoted(bit);
            was_clear.into()
        });
        to_be_noted
    }

    /// Notes where the mark of a page is.
    pub(crate) fn note_page(&self, bit: u32) {
        self.pages.note_bit(bit);
    }

    /// Takes that back.
    pub(crate) fn unmark_page(&self, bit: u32) {
        self.marked.0.clear(|| self.pages.take_bit(bit).into());
    }

    /// Marks a region.
    pub(crate) fn mark_region(&self, region: u32) {
        self.marked.0.set(1, || self.regions.set_bit(region).into());
    }

    /// Takes that back.
    pub(crate) fn unmark_region(&self, region: u32) {
        self.marked.0.clear(|| self.regions.take_bit(region).into());
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    fn words(count: usize) -> &'static [AtomicU64] {
        (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
    }

    #[test]
    fn a_mark_that_is_set_twice_is_counted_once_and_the_last_one_leaves_none() {
        let tainted = Tainted::new(Marks::new(words(2), 2), Bitmap::new(words(1)));
        assert!(!tainted.any());
        tainted.unmark_page(70);
        assert!(!tainted.any(), "nothing was marked");
        for _ in 0..2 {
            tainted.mark_page(70);
            tainted.mark_region(3);
        }
        tainted.unmark_page(70);
        assert!(tainted.any() && !tainted.is_marked(70, Ordering::Relaxed));
        assert!(tainted.is_region_marked(3, Ordering::Relaxed));
        tainted.unmark_region(3);
        tainted.unmark_region(3);
        assert!(!tainted.any());
    }
}
