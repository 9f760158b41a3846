//! Where a view may start.

use core::fmt;

use crate::addr::{AddressRange, GUARD_SIZE, ProgramAddr, ProgramBase, VirtAddr, WINDOW_SIZE};
use crate::layout::{AddressWidth, ArenaLayout};

/// Why no view can start at an address.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewBaseError {
    /// The address is not a multiple of 4 GiB: choose one that is.
    Misaligned,
    /// A view at address 0 would make null a pointer into it: choose another multiple of 4 GiB.
    AtZero,
    /// No processor translates all addresses of a view there.
    NotCanonical,
    /// The address is in the upper half, and so is the kernel's window: that half is the kernel's. Choose one in the lower.
    KernelHalf,
    /// The view would lie over the kernel's own window or its guards: choose another multiple of 4 GiB.
    OverKernelView,
}

impl ViewBaseError {
    const fn reason(self) -> &'static str {
        match self {
            Self::Misaligned => "a view starts at a multiple of 4 GiB",
            Self::AtZero => "a view at address 0 would make null a pointer into it: choose another multiple of 4 GiB",
            Self::NotCanonical => "no processor translates all addresses of a view there",
            Self::KernelHalf => "the upper half is the kernel's: choose a base in the lower",
            Self::OverKernelView => "the view would lie over the kernel's window or its guards: choose another base",
        }
    }
}

impl fmt::Display for ViewBaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for ViewBaseError {}

/// Whether a view of this arena may start at `address`.
///
/// What is checked is what is known here: the address itself, and the kernel's window. How many bits an address space
/// translates its tables tell.
pub(crate) fn check(layout: &ArenaLayout, address: ProgramAddr) -> Result<ProgramBase, ViewBaseError> {
    let base = ProgramBase::new(address).ok_or(ViewBaseError::Misaligned)?;
    let (first, last) = (address.value(), address.value() + (WINDOW_SIZE - 1));
    if first == 0 {
        return Err(ViewBaseError::AtZero);
    }
    // The widest there is: 57 bits, half of them below.
    if !AddressWidth::BITS_57.is_canonical(first) || !AddressWidth::BITS_57.is_canonical(last) {
        return Err(ViewBaseError::NotCanonical);
    }
    let (kernel, above) = (layout.base().value(), first >> 63);
    if above == 1 && kernel >> 63 == 1 {
        return Err(ViewBaseError::KernelHalf);
    }
    let guarded = AddressRange::new(VirtAddr::new(kernel.wrapping_sub(GUARD_SIZE)), WINDOW_SIZE + 2 * GUARD_SIZE);
    if guarded.contains(VirtAddr::new(first)) || guarded.contains(VirtAddr::new(last)) {
        return Err(ViewBaseError::OverKernelView);
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: ArenaLayout = ArenaLayout::fixed(0xffff_9000_0000_0000, AddressWidth::BITS_48, 64);
    const LOW: ArenaLayout = ArenaLayout::fixed(0x0000_0070_0000_0000, AddressWidth::BITS_48, 64);

    #[test]
    fn every_place_where_no_view_can_be_has_its_own_error() {
        let at =
            |layout: &ArenaLayout, address| check(layout, ProgramAddr::new(address)).map(|base| base.address().value());
        for good in [1 << 32, 0x0000_7fff_0000_0000, 0x0000_0070_0000_0000, 0x00ff_ffff_0000_0000] {
            assert_eq!(at(&HIGH, good), Ok(good));
        }
        for misaligned in [1, 0x1000, 0x7000_8000_0000, u64::MAX] {
            assert_eq!(at(&HIGH, misaligned), Err(ViewBaseError::Misaligned));
        }
        assert_eq!(at(&HIGH, 0), Err(ViewBaseError::AtZero));
        for nowhere in [0x0100_0000_0000_0000, 0x7fff_ffff_0000_0000, 0xfeff_ffff_0000_0000] {
            assert_eq!(at(&HIGH, nowhere), Err(ViewBaseError::NotCanonical));
        }
        for above in [0xffff_9000_0000_0000, 0xffff_8000_0000_0000, 0xffff_ffff_0000_0000, 0xff00_0000_0000_0000] {
            assert_eq!(at(&HIGH, above), Err(ViewBaseError::KernelHalf));
        }
        // The kernel's window below: its half is the programs', too, but for the window, and the guards on both sides.
        let step = 1u64 << 32;
        for over in [0x70_0000_0000 - step, 0x70_0000_0000, 0x70_0000_0000 + step] {
            assert_eq!(at(&LOW, over), Err(ViewBaseError::OverKernelView));
        }
        for good in [0x70_0000_0000 - 2 * step, 0x70_0000_0000 + 2 * step, 0xffff_ff80_0000_0000] {
            assert_eq!(at(&LOW, good), Ok(good));
        }
    }
}
