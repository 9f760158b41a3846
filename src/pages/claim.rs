//! Claiming: the exclusive right to install into slots.

use super::{GivingBack, Guess, InPlace, LeftBy, Moment, PageMaps, Wanted};
use crate::addr::PageRange;
use crate::sync::Ordering;

/// Which pages a search leaves alone, besides those that are claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Avoid {
    /// Those whose slot may hold scratch.
    Tainted,
    /// None.
    Nothing,
}

/// There is no page, as far as a search for one has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nowhere {
    /// Nor was there one when another was refused it, and nothing was given back since.
    Refused,
    /// All are taken, or are being given back.
    Full,
}

/// This page is claimed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken(pub(crate) u32);

/// Extents of at most so many pages are looked at slot by slot before a request is refused.
const SMALL: u32 = 512;

impl PageMaps {
    /// Claims exactly these pages of the extent.
    pub(crate) fn claim(&self, pages: PageRange) -> Result<(), Taken> {
        let (first, count) = (self.bit_of(pages.first().number()), pages.count().get());
        // What a claim of several words that fails gives back is in passing until then.
        let _giving_back = if first % 64 + count > 64 { self.giving_back(pages) } else { None };
        self.claimed.claim(first, count).map_err(|bit| Taken(self.page_of(bit)))
    }

    /// Claims one page of the extent, by its bit: whether nobody had it.
    #[inline]
    pub(crate) fn claim_bit(&self, bit: u32) -> bool {
        self.claimed.claim_one(bit)
    }

    /// Makes one page claimable again, as [`unclaim`](Self::unclaim) does.
    #[inline]
    pub(crate) fn unclaim_bit(&self, bit: u32) {
        self.claimed.unclaim_one(bit);
    }

    /// The first of these pages that is claimed.
    pub(crate) fn first_claimed(&self, pages: PageRange) -> Option<u32> {
        let words = super::masks(self.bit_of(pages.first().number()), pages.count().get());
        words
            .map(|(word, mask)| (word, self.claimed.taken(word, Ordering::Relaxed) & mask))
            .find(|(_, taken)| *taken != 0)
            .map(|(word, taken)| self.page_of(word * 64 + taken.trailing_zeros()))
    }

    /// The lowest run of `count` pages that nobody has, whose first number is a multiple of `align`, a power of two; from a
    /// fraction of the extent in 2^-16 on, and then what lies below.
    pub(crate) fn find(&self, count: u32, align: u32, avoid: Avoid, from: u16) -> Option<PageRange> {
        let wanted = Wanted { count, align, origin: self.geometry.origin };
        let from = self.bit_from(from);
        let marked = |block| self.tainted.pages().block(block);
        // Most often nothing is marked at all.
        let left: LeftBy<'_> = if avoid == Avoid::Tainted && self.tainted.any() { Some(&marked) } else { None };
        let find = |from: u32| self.claimed.lowest(from, wanted, left);
        let found = find(from).or_else(|| if from > 0 { find(0) } else { None });
        found.map(|bit| PageRange::of(self.page_of(bit), count))
    }

    /// The bit of the lowest page that nobody has and whose slot holds no scratch, from a fraction of the extent on.
    #[inline]
    pub(crate) fn find_one(&self, from: u16) -> Result<u32, Nowhere> {
        // Most often nothing is marked, and no CPU has moved.
        let guess =
            if from == 0 && !self.tainted.any() { self.claimed.guess(|| self.was_refused(1)) } else { Guess::Unknown };
        match guess {
            Guess::Free(bit) => Ok(bit),
            Guess::Full => Err(Nowhere::Full),
            Guess::Refused => Err(Nowhere::Refused),
            Guess::Unknown => self.find_one_from(self.bit_from(from)).ok_or(Nowhere::Full),
        }
    }

    #[inline(never)]
    fn find_one_from(&self, from: u32) -> Option<u32> {
        let marked = |block| self.tainted.pages().block(block);
        self.claimed.lowest_one(from, if self.tainted.any() { Some(&marked) } else { None })
    }

    /// Whether a bit lies below a fraction of the extent.
    #[inline]
    pub(crate) fn is_below(&self, bit: u32, from: u16) -> bool {
        bit < self.bit_from(from)
    }

    /// The bit at a fraction of the extent. What lies below the extent is claimed; so the lowest is found from 0 on, where
    /// blocks begin.
    #[inline]
    const fn bit_from(&self, from: u16) -> u32 {
        // In two parts, neither of which leaves 32 bits.
        let (blocks, rest) = (self.geometry.count >> 16, self.geometry.count & 0xffff);
        let offset = blocks * from as u32 + ((rest * from as u32) >> 16);
        if from == 0 { 0 } else { self.geometry.first + offset }
    }

    /// Makes pages claimable again. Release: all that was done to them is seen by the next holder (I5).
    ///
    /// The caller has announced it ([`giving_back`](Self::giving_back)).
    pub(crate) fn unclaim(&self, pages: PageRange) {
        self.claimed.unclaim(self.bit_of(pages.first().number()), pages.count().get());
    }

    /// Whether a refused request looks at every slot, so that nobody need announce anything.
    pub(crate) const fn is_small(&self) -> bool {
        self.geometry.count <= SMALL
    }

    /// Announces that pages are going to be un-claimed, from the moment when their slots say so. From now on nothing is refused
    /// without a search until one has looked in vain again.
    pub(crate) fn giving_back(&self, pages: PageRange) -> Option<GivingBack<'_>> {
        (!self.is_small()).then(|| self.batch(pages.first().number()))
    }

    /// The same, for pages of which this is one, and of a small extent, too: whoever gives them back counts its shootdowns
    /// there.
    #[inline(never)]
    pub(crate) fn batch(&self, near: u32) -> GivingBack<'_> {
        let giving_back = self.passing.begin(near.wrapping_sub(self.geometry.origin));
        self.refused.forget();
        giving_back
    }

    /// The same for the page with this bit, in a place of its own; `None` if there is no place.
    #[inline]
    pub(crate) fn giving_back_one(&self, bit: u32) -> Option<InPlace<'_>> {
        let giving_back = self.passing.begin_in_place(bit)?;
        self.refused.forget();
        Some(giving_back)
    }

    /// Before a search: what was given back so far.
    pub(crate) fn before_search(&self) -> Moment {
        self.passing.now()
    }

    /// Whether a run of so many pages, or a shorter one, was refused, and nothing was given back since. Never so in a small
    /// extent, where not all who give back announce it.
    #[inline]
    pub(crate) fn was_refused(&self, count: u32) -> bool {
        self.refused.holds_for(count)
    }

    /// After a search for `count` pages that left these alone, besides those that are claimed, that found none, and during
    /// which nothing was given back.
    pub(crate) fn note_refused(&self, count: u32, left_alone: Avoid, before: Moment) {
        // A page that was left alone because of a mark, and has none now, was claimed by whoever took the mark away: it still is,
        // or was given back.
        let for_marks = left_alone == Avoid::Tainted && self.tainted.any();
        if !self.is_small() && !for_marks {
            self.refused.note(count, || self.none_given_back_since(before));
        }
    }

    /// After it: whether nothing was given back meanwhile.
    pub(crate) fn none_given_back_since(&self, before: Moment) -> bool {
        self.passing.none_since(before)
    }
}
