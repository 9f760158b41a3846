//! The 32-bit pointer that both sides share.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::num::NonZeroU32;

use super::{ProgramAddr, ProgramBase, WINDOW_SIZE};

/// A 32-bit pointer into the window: the same byte for the kernel and for every program. Never null.
///
/// Holding one proves nothing but its size, and that it is not 0: somebody, perhaps a program, has claimed that a `T` is at that
/// offset. It does not show that a page is there, that the offset is aligned, or that the bytes are a valid `T`.
///
/// Offset 0 is never a page's, so 0 is free to say that there is nothing: an `Option<ArenaPtr<T>>` has four bytes, and is 0 where
/// it is `None`.
///
/// ```
/// use kernel_arena::ArenaPtr;
/// const ROOT: ArenaPtr<u64> = ArenaPtr::new(0x1_2340).unwrap();
/// assert_eq!(ROOT.offset(), 0x1_2340);
/// assert_eq!(size_of::<Option<ArenaPtr<u64>>>(), 4);
/// // What a program passes: of its address the low half counts, and null is null.
/// assert_eq!(ArenaPtr::from_low_bits(0x70_0001_2340), Some(ROOT));
/// assert_eq!(ArenaPtr::<u64>::from_low_bits(0x70_0000_0000), None);
/// ```
#[repr(transparent)]
pub struct ArenaPtr<T = u8> {
    offset: NonZeroU32,
    target: PhantomData<fn() -> T>,
}

impl<T> ArenaPtr<T> {
    /// The pointer to the byte at `offset` from the start of the window; `None` for 0, which is null.
    pub const fn new(offset: u32) -> Option<Self> {
        match NonZeroU32::new(offset) {
            Some(offset) => Some(Self::of(offset)),
            None => None,
        }
    }

    /// The same, of an offset that is known not to be 0.
    pub(crate) const fn of(offset: NonZeroU32) -> Self {
        Self { offset, target: PhantomData }
    }

    /// The same, of an offset in a page: none is of page 0.
    pub(crate) const fn in_page(offset: u32) -> Self {
        debug_assert!(offset != 0);
        match NonZeroU32::new(offset) {
            Some(offset) => Self::of(offset),
            None => Self::of(NonZeroU32::MIN),
        }
    }

    /// The pointer that an address of a program's means, whatever is above its low 32 bits: these are the same in every view.
    /// `None` where they are 0: null stays null.
    pub const fn from_low_bits(address: u64) -> Option<Self> {
        Self::new((address & (WINDOW_SIZE - 1)) as u32)
    }

    /// Bytes from the start of the window.
    pub const fn offset(self) -> u32 {
        self.offset.get()
    }

    /// The same offset, claimed to hold another type.
    pub const fn cast<U>(self) -> ArenaPtr<U> {
        ArenaPtr::of(self.offset)
    }

    /// The address in the program view that starts at `base`.
    pub const fn to_program(self, base: ProgramBase) -> ProgramAddr {
        ProgramAddr::new(base.address().value() | self.offset.get() as u64)
    }
}

// Not derived: a derive would ask the same of `T`, which is not there.
impl<T> Clone for ArenaPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for ArenaPtr<T> {}
impl<T> PartialEq for ArenaPtr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.offset == other.offset
    }
}
impl<T> Eq for ArenaPtr<T> {}
impl<T> Hash for ArenaPtr<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.offset.hash(state);
    }
}
impl<T> fmt::Debug for ArenaPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArenaPtr({:#x})", self.offset)
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for ArenaPtr<T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ArenaPtr({=u32:#x})", self.offset.get());
    }
}
