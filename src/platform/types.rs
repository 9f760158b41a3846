//! The small values that cross the border to the kernel.

use core::fmt;

use crate::addr::PAGE_SIZE;

/// A physical page of 4 KiB.
///
/// Holding one proves that its address is a multiple of 4096 below 2^52; not that anybody owns it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame(u64);

impl Frame {
    /// The frame at this physical address, or `None` if it is not a multiple of 4096 below 2^52.
    pub const fn new(address: u64) -> Option<Self> {
        if address % PAGE_SIZE == 0 && address < 1 << 52 { Some(Self(address)) } else { None }
    }

    /// The frame whose address is in bits 51:12 of a table entry.
    pub(crate) const fn from_entry(word: u64) -> Self {
        Self(word & 0x000f_ffff_ffff_f000)
    }

    /// The frame that has this address, which was had from one.
    #[inline]
    pub(crate) const fn again(address: u64) -> Self {
        debug_assert!(Self::new(address).is_some());
        Self(address)
    }

    /// Its physical address, in bytes.
    pub const fn address(self) -> u64 {
        self.0
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Frame {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Frame({=u64:#x})", self.0);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:#x})", self.0)
    }
}

/// A memory node (NUMA), as the frame source numbers them.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The node with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// A CPU, numbered from 0 by the kernel.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CpuId(u16);

impl CpuId {
    /// The CPU with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// How many CPUs a machine may have: 1 to 65536.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuCount(u32);

impl CpuCount {
    /// One CPU.
    pub const ONE: Self = Self(1);

    /// That many, or `None` for 0 and above 65536.
    pub const fn new(count: u32) -> Option<Self> {
        if count >= 1 && count <= 1 << 16 { Some(Self(count)) } else { None }
    }

    /// The count.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A CPU and the interrupt level that runs on it: 0 is a thread, each kind of interrupt that may come on top is higher.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CpuLevel {
    /// The CPU.
    pub cpu: CpuId,
    /// The level.
    pub level: u8,
}

/// The bits of an entry that the physical map decides: memory type, shareability, encryption.
///
/// [`Arena::new`](crate::Arena::new) refuses bits that the arena itself gives a meaning.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryAttributes {
    /// For leaf entries (x86_64: PWT, PCD, PAT, an encryption bit; aarch64: AttrIndx, SH, NS).
    pub leaf: u64,
    /// For entries that point to tables (x86_64: PWT, PCD, an encryption bit; aarch64: NSTable).
    pub table: u64,
}
