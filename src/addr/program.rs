//! Where a program view starts, and what its addresses mean.

use core::fmt;

use super::{ArenaPtr, ProgramAddr, VirtAddr, WINDOW_SIZE};

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
        if address.value() % WINDOW_SIZE == 0 { Some(Self(address.value())) } else { None }
    }

    /// The base of the view that an address of it is in.
    pub(crate) const fn containing(address: ProgramAddr) -> Self {
        Self(address.value() & !(WINDOW_SIZE - 1))
    }

    /// The address of the view's first byte.
    pub const fn address(self) -> ProgramAddr {
        ProgramAddr::new(self.0)
    }

    /// The pointer that names the byte at `address`.
    ///
    /// # Errors
    /// [`OutsideWindow`] if `address` is not in the 4 GiB from this base on: nothing is cut off silently. The very first byte,
    /// which is no page's, has no pointer: it would be null.
    pub const fn to_ptr<T>(self, address: ProgramAddr) -> Result<ArenaPtr<T>, OutsideWindow> {
        window_offset(self.0, address.value())
    }
}

/// An address does not lie in the window that it was to be translated for, or is that of its first byte, to which no pointer
/// leads.
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

/// The pointer to `address` in the window at `base`.
pub(crate) const fn window_offset<T>(base: u64, address: u64) -> Result<ArenaPtr<T>, OutsideWindow> {
    let offset = address.wrapping_sub(base);
    if offset < WINDOW_SIZE {
        if let Some(pointer) = ArenaPtr::from_low_bits(offset) {
            return Ok(pointer);
        }
    }
    Err(OutsideWindow { address: VirtAddr::new(address) })
}
