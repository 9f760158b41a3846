//! A few values in a fixed array, on the stack: what was not put in costs nothing.

use core::mem::{self, MaybeUninit};
use core::slice;

/// At most `N` values, in the order in which they came.
pub(in crate::arena) struct Few<T: Copy, const N: usize> {
    values: [MaybeUninit<T>; N],
    /// How many there are: the first ones, which are initialised. Never more than `N`.
    len: usize,
}

impl<T: Copy, const N: usize> Few<T, N> {
    /// None. Of the array nothing is written.
    #[inline(always)]
    pub(in crate::arena) const fn new() -> Self {
        Self { values: [const { MaybeUninit::uninit() }; N], len: 0 }
    }

    /// Whether there is room for no more.
    #[inline]
    pub(in crate::arena) const fn is_full(&self) -> bool {
        self.len == N
    }

    /// Puts a value behind the others.
    ///
    /// # Panics
    /// If there are `N` already.
    #[inline]
    pub(in crate::arena) fn push(&mut self, value: T) {
        self.values[self.len].write(value);
        self.len += 1;
    }

    /// All of them, which are forgotten.
    #[inline]
    pub(in crate::arena) fn take(&mut self) -> &[T] {
        let len = mem::take(&mut self.len);
        // SAFETY: the first `len` values were written by `push`, the array has as many, and the borrow is this one's.
        unsafe { slice::from_raw_parts(self.values.as_ptr().cast::<T>(), len) }
    }

    /// The last of them.
    #[inline]
    pub(in crate::arena) fn last_mut(&mut self) -> Option<&mut T> {
        let last = self.values[..self.len].last_mut()?;
        // SAFETY: it is one of the first `len`, which `push` wrote.
        Some(unsafe { last.assume_init_mut() })
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_order_until_they_are_forgotten() {
        let mut few = Few::<u64, 3>::new();
        assert!(few.take().is_empty() && few.last_mut().is_none());
        for value in [7, 8, 9] {
            assert!(!few.is_full());
            few.push(value);
        }
        assert!(few.is_full());
        *few.last_mut().unwrap() += 1;
        assert_eq!(few.take(), [7, 8, 10]);
        assert!(few.last_mut().is_none() && few.take().is_empty());
        few.push(1);
        assert_eq!(few.take(), [1]);
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn one_too_many_is_refused() {
        let mut few = Few::<u8, 1>::new();
        few.push(1);
        few.push(2);
    }
}
