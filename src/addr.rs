//! Addresses, page numbers and the 32-bit pointer that both sides share.
//!
//! A byte of the window has three names: its offset ([`ArenaPtr`], 32 bits, what a program stores), its address in the
//! kernel view ([`KernelAddr`]) and its address in a program view ([`ProgramAddr`]). The three are types of their own,
//! so that none is taken for another; each conversion has a name, and one that could lose bits returns a [`Result`].
//! What is not here: access to the memory behind an address.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::ops::Range;

/// log2 of the page size.
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a page: 4 KiB, the only granule this crate maps.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// The same, to compare sizes of memory with.
pub(crate) const PAGE_BYTES: usize = 1 << PAGE_SHIFT;
/// Bytes in the window: 4 GiB.
pub const WINDOW_SIZE: u64 = 1 << 32;
/// Pages in the window: 2^20.
pub const WINDOW_PAGES: u32 = 1 << (32 - PAGE_SHIFT);
/// Bytes in each guard: 32 KiB, what a signed 16-bit displacement can overshoot the window by.
pub const GUARD_SIZE: u64 = 1 << 15;

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
    /// # assert_eq!(number_at(&arena, ArenaPtr::new(0x1001)), None);
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
        Self(ptr.offset >> PAGE_SHIFT)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The 32-bit pointer to the page's first byte.
    pub const fn to_ptr(self) -> ArenaPtr {
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
/// Holding one proves that every page in it has a number below 2^20.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRange {
    first: u32,
    count: u32,
}

impl PageRange {
    /// `count` pages from `first` on, or `None` if they would leave the window.
    pub const fn new(first: PageIndex, count: PageCount) -> Option<Self> {
        if first.0 + count.0 <= WINDOW_PAGES { Some(Self { first: first.0, count: count.0 }) } else { None }
    }

    /// For pages that the caller has taken from a checked range.
    pub(crate) const fn of(first: u32, count: u32) -> Self {
        Self { first, count }
    }

    /// One page.
    pub const fn single(page: PageIndex) -> Self {
        Self { first: page.0, count: 1 }
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
        self.first().to_ptr()
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

/// A 32-bit pointer into the window: the same byte for the kernel and for every program.
///
/// Holding one proves nothing but its size: somebody, perhaps a program, has claimed that a `T` is at that offset. It
/// does not show that a page is there, that the offset is aligned, or that the bytes are a valid `T`.
///
/// ```
/// use kernel_arena::ArenaPtr;
/// let node: ArenaPtr<u64> = ArenaPtr::new(0x1_2340);
/// assert_eq!(node.offset(), 0x1_2340);
/// ```
#[repr(transparent)]
pub struct ArenaPtr<T = u8> {
    offset: u32,
    target: PhantomData<fn() -> T>,
}

impl<T> ArenaPtr<T> {
    /// The pointer that an address of a program's means, whatever is above its low 32 bits: these are the same in every view.
    /// `None` where they are 0: null stays null.
    pub const fn from_low_bits(address: u64) -> Option<Self> {
        let offset = (address & (WINDOW_SIZE - 1)) as u32;
        if offset == 0 { None } else { Some(Self::new(offset)) }
    }

    /// The pointer to the byte at `offset` from the start of the window.
    pub const fn new(offset: u32) -> Self {
        Self { offset, target: PhantomData }
    }

    /// Bytes from the start of the window.
    pub const fn offset(self) -> u32 {
        self.offset
    }

    /// The same offset, claimed to hold another type.
    pub const fn cast<U>(self) -> ArenaPtr<U> {
        ArenaPtr::new(self.offset)
    }

    /// The address in the program view that starts at `base`.
    pub const fn to_program(self, base: ProgramBase) -> ProgramAddr {
        ProgramAddr(base.0 | self.offset as u64)
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
        defmt::write!(f, "ArenaPtr({=u32:#x})", self.offset);
    }
}

/// The address at which a program view starts: a multiple of 4 GiB.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProgramBase(u64);

impl fmt::Debug for ProgramBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProgramBase({:#x})", self.0)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ProgramBase {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u64:#x}", self.0);
    }
}

impl ProgramBase {
    /// The base at `address`, or `None` if it is not a multiple of 4 GiB.
    pub const fn new(address: ProgramAddr) -> Option<Self> {
        if address.0 % WINDOW_SIZE == 0 { Some(Self(address.0)) } else { None }
    }

    /// The base of the view that an address of it is in.
    pub(crate) const fn containing(address: ProgramAddr) -> Self {
        Self(address.0 & !(WINDOW_SIZE - 1))
    }

    /// The address of the view's first byte.
    pub const fn address(self) -> ProgramAddr {
        ProgramAddr(self.0)
    }

    /// The pointer that names the byte at `address`.
    ///
    /// # Errors
    /// [`OutsideWindow`] if `address` is not in the 4 GiB from this base on: nothing is cut off silently.
    pub const fn to_ptr<T>(self, address: ProgramAddr) -> Result<ArenaPtr<T>, OutsideWindow> {
        window_offset(self.0, address.0)
    }
}

/// An address does not lie in the window that it was to be translated for.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideWindow {
    /// The address that was given.
    pub address: VirtAddr,
}

impl fmt::Display for OutsideWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} is outside the window: translate it with the base of the view it came from", self.address)
    }
}

impl core::error::Error for OutsideWindow {}

/// The offset of `address` in the window at `base`.
pub(crate) const fn window_offset<T>(base: u64, address: u64) -> Result<ArenaPtr<T>, OutsideWindow> {
    let offset = address.wrapping_sub(base);
    if offset < WINDOW_SIZE {
        Ok(ArenaPtr::new((offset & (WINDOW_SIZE - 1)) as u32))
    } else {
        Err(OutsideWindow { address: VirtAddr(address) })
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
