//! A pointer, and how many.

use core::fmt;
use core::ops::Range;

use zerocopy::FromBytes;

use super::{Accessor, Hole, LeavesWindow, Memory};
use crate::addr::{ArenaPtr, WINDOW_SIZE};
use crate::arch::Arch;
use crate::platform::Platform;

/// Values next to each other in the window.
///
/// Holding one proves that all of it lies in the window, and nothing else: somebody, perhaps a program, has claimed that the
/// values are there.
pub struct ArenaSlice<T> {
    first: ArenaPtr<T>,
    len: u32,
}

impl<T> ArenaSlice<T> {
    /// `len` values from `first` on.
    ///
    /// # Errors
    /// [`LeavesWindow`], if not all of it lies in the window.
    ///
    /// ```
    /// use kernel_arena::{ArenaPtr, access::ArenaSlice};
    /// let first = ArenaPtr::<u64>::from_low_bits(0xffff_fff0).unwrap();
    /// assert!(ArenaSlice::new(first, 2).is_ok());
    /// assert!(ArenaSlice::new(first, 3).is_err());
    /// assert!(ArenaSlice::new(first, u32::MAX).is_err());
    /// ```
    pub const fn new(first: ArenaPtr<T>, len: u32) -> Result<Self, LeavesWindow> {
        let offset = first.offset();
        let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
        if bytes <= WINDOW_SIZE - offset as u64 { Ok(Self { first, len }) } else { Err(LeavesWindow { offset, bytes }) }
    }

    /// The pointer to the first, were there none, too.
    pub const fn as_ptr(self) -> ArenaPtr<T> {
        self.first
    }

    /// How many.
    pub const fn len(self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The pointer to one of them; `None` beyond the last.
    pub fn get(self, index: u32) -> Option<ArenaPtr<T>> {
        (index < self.len).then(|| self.nth(index))
    }

    /// Some of them; `None` if not all of these are there.
    pub fn slice(self, range: Range<u32>) -> Option<Self> {
        let len = range.end.checked_sub(range.start)?;
        // An empty one at the very end would point past the window.
        let is_within = range.end <= self.len && range.start < self.len.max(1);
        is_within.then(|| Self { first: self.nth(range.start), len })
    }

    /// The pointers to them.
    pub fn pointers(self) -> impl DoubleEndedIterator<Item = ArenaPtr<T>> {
        (0..self.len).map(move |index| self.nth(index))
    }

    /// Where the one with this index starts, which is in the window.
    fn nth(self, index: u32) -> ArenaPtr<T> {
        let bytes = u64::from(index) * size_of::<T>() as u64;
        ArenaPtr::from_low_bits(u64::from(self.first.offset()) + bytes).unwrap_or(self.first)
    }
}

impl<P: Platform, A: Arch, M: Accessor> Memory<'_, P, A, M> {
    /// The values of a slice, each [loaded](Self::load) when its turn comes.
    pub fn iter<T: FromBytes>(&self, slice: ArenaSlice<T>) -> impl DoubleEndedIterator<Item = T> {
        slice.pointers().map(|ptr| self.load(ptr))
    }

    /// The same, by [`try_load`](Self::try_load).
    pub fn try_iter<T: FromBytes>(&self, slice: ArenaSlice<T>) -> impl DoubleEndedIterator<Item = Result<T, Hole>> {
        slice.pointers().map(|ptr| self.try_load(ptr))
    }
}

// Not derived: a derive would ask the same of `T`, which is not there.
impl<T> Clone for ArenaSlice<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for ArenaSlice<T> {}
impl<T> PartialEq for ArenaSlice<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.first, self.len) == (other.first, other.len)
    }
}
impl<T> Eq for ArenaSlice<T> {}
impl<T> fmt::Debug for ArenaSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArenaSlice({:#x}, {})", self.first.offset(), self.len)
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for ArenaSlice<T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ArenaSlice({=u32:#x}, {=u32})", self.first.offset(), self.len);
    }
}
