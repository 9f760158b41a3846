//! Pointers within structures that a kernel and programs share.
//!
//! A field must take any bytes that a program writes, null among them, and must be written without a byte that is nobody's:
//! `Option<ArenaPtr<T>>` may not say so of itself, for neither trait nor `Option` is this crate's.

use core::fmt;
use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::addr::{ArenaPtr, ProgramAddr, ProgramBase};

/// A pointer of 32 bits, or null: in C, `uint32_t`.
///
/// ```
/// use kernel_arena::{ArenaPtr, access::PtrField};
/// let next = ArenaPtr::<u64>::from_low_bits(0x1008);
/// assert_eq!(PtrField::new(next).get(), next);
/// assert_eq!(PtrField::<u64>::NULL.get(), None);
/// assert_eq!((size_of::<PtrField<u64>>(), align_of::<PtrField<u64>>()), (4, 4));
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct PtrField<T> {
    offset: u32,
    target: PhantomData<fn() -> T>,
}

/// The full address that a program has in mind, or null: in C, a pointer of 64 bits. Its low 32 bits count: they are the same in
/// every view.
///
/// ```
/// use kernel_arena::{ArenaPtr, ProgramAddr, ProgramBase, access::AddrField};
/// let base = ProgramBase::new(ProgramAddr::new(0x70_0000_0000)).unwrap();
/// let next = ArenaPtr::<u64>::from_low_bits(0x1008);
/// let field = AddrField::new(next, base);
/// assert_eq!((field.address(), field.get()), (0x70_0000_1008, next));
/// assert_eq!(AddrField::<u64>::NULL.get(), None);
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct AddrField<T> {
    address: u64,
    target: PhantomData<fn() -> T>,
}

impl<T> PtrField<T> {
    /// Null.
    pub const NULL: Self = Self { offset: 0, target: PhantomData };

    /// With this pointer; null for `None`.
    pub const fn new(ptr: Option<ArenaPtr<T>>) -> Self {
        match ptr {
            Some(ptr) => Self { offset: ptr.offset(), target: PhantomData },
            None => Self::NULL,
        }
    }

    /// The pointer; `None` if it is null.
    pub const fn get(self) -> Option<ArenaPtr<T>> {
        ArenaPtr::from_low_bits(self.offset as u64)
    }
}

impl<T> AddrField<T> {
    /// Null.
    pub const NULL: Self = Self { address: 0, target: PhantomData };

    /// With the address of `ptr` in the view at `base`; null for `None`.
    pub const fn new(ptr: Option<ArenaPtr<T>>, base: ProgramBase) -> Self {
        match ptr {
            Some(ptr) => Self::from_address(ptr.to_program(base)),
            None => Self::NULL,
        }
    }

    /// With this address, whatever it is.
    pub const fn from_address(address: ProgramAddr) -> Self {
        Self { address: address.value(), target: PhantomData }
    }

    /// The whole address.
    pub const fn address(self) -> u64 {
        self.address
    }

    /// The pointer that its low 32 bits are; `None` if they are 0.
    pub const fn get(self) -> Option<ArenaPtr<T>> {
        ArenaPtr::from_low_bits(self.address)
    }
}

impl<T> From<Option<ArenaPtr<T>>> for PtrField<T> {
    fn from(ptr: Option<ArenaPtr<T>>) -> Self {
        Self::new(ptr)
    }
}

impl<T> From<ArenaPtr<T>> for PtrField<T> {
    fn from(ptr: ArenaPtr<T>) -> Self {
        Self::new(Some(ptr))
    }
}

macro_rules! field {
    ($field:ident, $value:ident, $format:literal) => {
        // Not derived: a derive would ask the same of `T`, which is not there.
        impl<T> Clone for $field<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $field<T> {}
        impl<T> PartialEq for $field<T> {
            fn eq(&self, other: &Self) -> bool {
                self.$value == other.$value
            }
        }
        impl<T> Eq for $field<T> {}
        impl<T> Default for $field<T> {
            fn default() -> Self {
                Self::NULL
            }
        }
        impl<T> fmt::Debug for $field<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($field), "({:#x})"), self.$value)
            }
        }
        #[cfg(feature = "defmt")]
        impl<T> defmt::Format for $field<T> {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, $format, self.$value);
            }
        }
    };
}
field!(PtrField, offset, "PtrField({=u32:#x})");
field!(AddrField, address, "AddrField({=u64:#x})");
