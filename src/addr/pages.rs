//! Pages of the window, by number.

use core::num::NonZeroU32;
use core::ops::Range;

use super::{ArenaPtr, PAGE_SHIFT, WINDOW_PAGES};

/// The number of a page in the window, `0..2^20`.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageIndex(u32);

impl PageIndex {
    /// The page with this number, or `None` at 2^20 and above.
    pub const fn new(number: u32) -> Option<Self> {
        if number < WINDOW_PAGES { Some(Self(number)) } else { None }
    }

    /// For numbers the caller has bounded already; the excess bits are masked off.
    pub(crate) const fn masked(number: u32) -> Self {
        Self(number & (WINDOW_PAGES - 1))
    }

    /// The page that holds the byte `ptr` names.
    pub const fn containing<T>(ptr: ArenaPtr<T>) -> Self {
        Self(ptr.offset() >> PAGE_SHIFT)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The 32-bit pointer to the page's first byte; `None` for page 0, whose first byte null would name.
    pub const fn to_ptr(self) -> Option<ArenaPtr> {
        ArenaPtr::new(self.0 << PAGE_SHIFT)
    }
}

/// A number of pages, `0..=2^20`.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageCount(u32);

impl PageCount {
    /// No page at all.
    pub const ZERO: Self = Self(0);
    /// One page.
    pub const ONE: Self = Self(1);

    /// That many pages, or `None` above 2^20.
    pub const fn new(count: u32) -> Option<Self> {
        if count <= WINDOW_PAGES { Some(Self(count)) } else { None }
    }

    /// For counts the caller has bounded already; larger ones saturate.
    pub(crate) const fn saturating(count: u32) -> Self {
        Self(if count <= WINDOW_PAGES { count } else { WINDOW_PAGES })
    }

    /// The count.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        (self.0 as u64) << PAGE_SHIFT
    }
}

/// Consecutive pages of the window.
///
/// Holding one proves that every page in it has a number below 2^20, and that page 0, which is nobody's, is not among them.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRange {
    first: u32,
    count: u32,
}

impl PageRange {
    /// `count` pages from `first` on, or `None` if they would leave the window, or begin with page 0.
    pub const fn new(first: PageIndex, count: PageCount) -> Option<Self> {
        if first.0 != 0 && first.0 + count.0 <= WINDOW_PAGES { Some(Self::of(first.0, count.0)) } else { None }
    }

    /// For pages that the caller has taken from a checked range.
    pub(crate) const fn of(first: u32, count: u32) -> Self {
        Self { first, count }
    }

    /// One page, or `None` for page 0.
    pub const fn single(page: PageIndex) -> Option<Self> {
        Self::new(page, PageCount::ONE)
    }

    /// The first page.
    pub const fn first(self) -> PageIndex {
        PageIndex::masked(self.first)
    }

    /// How many pages.
    pub const fn count(self) -> PageCount {
        PageCount::saturating(self.count)
    }

    /// Whether there is no page in it.
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The 32-bit pointer to the first byte.
    pub const fn to_ptr(self) -> ArenaPtr {
        match self.first().to_ptr() {
            Some(first) => first,
            // No range begins with page 0.
            None => ArenaPtr::of(NonZeroU32::MIN),
        }
    }

    /// Whether `page` is one of them.
    pub const fn contains(self, page: PageIndex) -> bool {
        page.0 >= self.first && page.0 - self.first < self.count
    }

    /// Whether all of `other` lies in it.
    pub const fn covers(self, other: Self) -> bool {
        other.first >= self.first && other.first + other.count <= self.first + self.count
    }

    /// The pages, lowest first.
    pub fn pages(self) -> impl DoubleEndedIterator<Item = PageIndex> + Clone {
        self.numbers().map(PageIndex)
    }

    pub(crate) const fn numbers(self) -> Range<u32> {
        self.first..self.first + self.count
    }
}
