//! Virtual addresses, in the kernel view, in a program view, and in any.

use core::fmt;

use super::PAGE_SHIFT;

/// A virtual address in any view.
///
/// Holding one proves nothing about it; it is what a TLB flush needs to know of [`KernelAddr`] and [`ProgramAddr`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtAddr(u64);

/// A virtual address in the kernel view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelAddr(u64);

/// A virtual address in a program view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramAddr(u64);

macro_rules! address {
    ($name:ident) => {
        impl $name {
            /// The address with this numeric value.
            pub const fn new(address: u64) -> Self {
                Self(address)
            }

            /// The numeric value.
            pub const fn value(self) -> u64 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=u64:#x}", self.0);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address!(VirtAddr);
address!(KernelAddr);
address!(ProgramAddr);

impl KernelAddr {
    /// A pointer to what is here, for a raw access; it has exposed provenance ([`with_exposed_provenance_mut`]).
    ///
    /// Making it is always allowed. What may be done with it depends on the arena:
    /// - Its pages can be read and written from when they are allocated until they are freed. What else the window has is
    ///   recovered if the kernel's handler asks the arena, but only as the machine goes: a load gives 0 or what other wild
    ///   stores left, and for the language it is an access to memory that is not there. The compiler may repeat, merge or
    ///   leave out plain accesses, so use [`read_volatile`](core::ptr::read_volatile) and
    ///   [`write_volatile`](core::ptr::write_volatile) wherever a page may be missing.
    /// - On a *shared* arena programs write at any moment: no `&T`, no `&mut T`, no slice. Copy values out by volatile or
    ///   atomic accesses, once, and look at the copy: its bytes may be no valid `T`.
    /// - On a [private](crate::ArenaLayout::private) one, pages are memory like any other as long as they are allocated.
    ///
    /// Nothing is checked: neither whether the address is one of an arena's nor whether it is aligned for `T`.
    ///
    /// ```
    /// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/platform/example.rs")); }
    /// use kernel_arena::{Arena, ArenaPtr, Platform};
    ///
    /// /// What a program has left at `ptr`, an address that it chose.
    /// fn number_at<P: Platform>(arena: &Arena<P>, ptr: ArenaPtr<u64>) -> Option<u64> {
    ///     let number = arena.layout().to_kernel(ptr).as_mut_ptr::<u64>();
    ///     // SAFETY: an aligned load of the window, which is recovered where there is no page; any bytes are a u64.
    ///     number.is_aligned().then(|| unsafe { number.read_volatile() })
    /// }
    /// # use kernel::{LAYOUT, MyKernel};
    /// # let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    /// # let arena: Arena<MyKernel> = Arena::new(MyKernel::boot(), LAYOUT, metadata).unwrap();
    /// # assert_eq!(number_at(&arena, ArenaPtr::new(0x1001).unwrap()), None);
    /// ```
    ///
    /// [`with_exposed_provenance_mut`]: core::ptr::with_exposed_provenance_mut
    #[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits: lib.rs asserts it")]
    pub fn as_mut_ptr<T>(self) -> *mut T {
        core::ptr::with_exposed_provenance_mut(self.0 as usize)
    }
}

impl From<KernelAddr> for VirtAddr {
    fn from(address: KernelAddr) -> Self {
        Self(address.0)
    }
}

impl From<ProgramAddr> for VirtAddr {
    fn from(address: ProgramAddr) -> Self {
        Self(address.0)
    }
}

/// Consecutive page-aligned virtual addresses, for a TLB flush.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    start: VirtAddr,
    bytes: u64,
}

impl AddressRange {
    /// The pages from `start` on that make up `bytes`, both multiples of the page size. Addresses wrap around at the top.
    pub const fn new(start: VirtAddr, bytes: u64) -> Self {
        Self { start, bytes }
    }

    /// The first address.
    pub const fn start(self) -> VirtAddr {
        self.start
    }

    /// The size in bytes, a multiple of the page size.
    pub const fn size_bytes(self) -> u64 {
        self.bytes
    }

    /// How many pages it covers.
    pub const fn page_count(self) -> u64 {
        self.bytes >> PAGE_SHIFT
    }

    /// Whether `address` lies in it.
    pub const fn contains(self, address: VirtAddr) -> bool {
        address.0.wrapping_sub(self.start.0) < self.bytes
    }

    /// The address of each page. A range that ends with the address space has its last page, too.
    pub fn pages(self) -> impl Iterator<Item = VirtAddr> {
        (0..self.page_count()).map(move |n| VirtAddr(self.start.0.wrapping_add(n << PAGE_SHIFT)))
    }
}
