//! How many bits of an address a machine translates.

use core::fmt;

/// How many bits of a virtual address the machine translates.
///
/// It is shown as it was given: `48 bits`, or `halves of 39 bits` where it was made by [`of_halves`](Self::of_halves). The
/// two ways are compared by what they mean: halves of 39 bits are 40 bits.
#[derive(Clone, Copy)]
pub struct AddressWidth {
    bits: u32,
    given: Given,
}

/// How a width was said.
#[derive(Clone, Copy)]
enum Given {
    Whole,
    Halves,
}

impl AddressWidth {
    /// 48 bits, both halves together: x86_64 with 4-level paging. On aarch64 halves of 48 bits (T0SZ or T1SZ of 16) are one
    /// bit more, [`of_halves(48)`](Self::of_halves); of those this has the ends that lie lowest and highest.
    pub const BITS_48: Self = Self::whole(48);
    /// 57 bits: x86_64 with 5-level paging (CR4.LA57).
    pub const BITS_57: Self = Self::whole(57);

    /// The least that has room for a window and its guards: halves of 16 GiB. In halves of 8 GiB each of the two places
    /// for a window touches an end, and a guard would leave the half.
    const NARROWEST: Self = Self::whole(35);

    const fn whole(bits: u32) -> Self {
        Self { bits, given: Given::Whole }
    }

    /// A width between 35 (room for a window and its guards) and 57 bits.
    pub const fn new(bits: u32) -> Option<Self> {
        if bits >= Self::NARROWEST.bits && bits <= Self::BITS_57.bits { Some(Self::whole(bits)) } else { None }
    }

    /// The width of addresses each of whose halves has `bits` bits: on aarch64 64 - `TxSZ`, so 39 for `T1SZ` = 25. The
    /// bit that selects the half (`TTBR0_EL1` or `TTBR1_EL1`) comes on top. `None` outside 34 to 56.
    ///
    /// ```
    /// use kernel_arena::AddressWidth;
    /// let width = AddressWidth::of_halves(39).unwrap();
    /// assert!(width.is_canonical(0xffff_ff80_0000_0000));
    /// assert!(!width.is_canonical(0xffff_ff7f_ffff_ffff));
    /// ```
    ///
    /// In a constant, of a kernel whose upper half has 48 bits:
    /// ```
    /// use kernel_arena::{AddressWidth, ArenaLayout, LayoutError, PageCount, PageIndex};
    /// const HALVES: AddressWidth = AddressWidth::of_halves(48).unwrap();
    /// const BASE: u64 = 0xffff_0001_0000_0000;
    /// const LAYOUT: ArenaLayout = ArenaLayout::fixed(BASE, HALVES, 4096);
    /// let (first, count) = (PageIndex::new(1).unwrap(), PageCount::new(4096).unwrap());
    /// let otherwise = ArenaLayout::new(LAYOUT.base(), AddressWidth::BITS_48, first, count);
    /// assert_eq!(otherwise.unwrap_err(), LayoutError::BaseNotCanonical);
    /// ```
    pub const fn of_halves(bits: u32) -> Option<Self> {
        match Self::new(bits.saturating_add(1)) {
            Some(Self { bits, .. }) => Some(Self { bits, given: Given::Halves }),
            None => None,
        }
    }

    /// The number of bits, the one that selects the half included.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// Whether all bits above the width repeat the top bit that is translated (Intel SDM vol. 1, 3.3.7.1; on aarch64
    /// the upper half is `TTBR1_EL1`'s, the lower `TTBR0_EL1`'s, Arm ARM D8.2).
    pub const fn is_canonical(self, address: u64) -> bool {
        let half = 1u64 << (self.bits - 1);
        address < half || address >= half.wrapping_neg()
    }
}

impl PartialEq for AddressWidth {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl Eq for AddressWidth {}

impl fmt::Display for AddressWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.given {
            Given::Whole => write!(f, "{} bits", self.bits),
            Given::Halves => write!(f, "halves of {} bits", self.bits - 1),
        }
    }
}

impl fmt::Debug for AddressWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for AddressWidth {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self.given {
            Given::Whole => defmt::write!(f, "{=u32} bits", self.bits),
            Given::Halves => defmt::write!(f, "halves of {=u32} bits", self.bits - 1),
        }
    }
}
