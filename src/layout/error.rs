//! Why a layout was refused.

use core::fmt;

/// Why a layout was refused.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The base is not a multiple of 4 GiB: choose one that is.
    BaseNotAligned,
    /// The base or the end of the window is not a canonical address of this width: choose another base, or the width that the
    /// machine has (aarch64: [`AddressWidth::of_halves`](crate::AddressWidth::of_halves)).
    BaseNotCanonical,
    /// A guard beside the window would leave the window's half of the address space: leave 4 GiB to the half's edge.
    GuardLeavesHalf,
    /// The extent has no page: give it at least one.
    ExtentEmpty,
    /// The extent contains page 0, which stays free so that null is never a page: start at page 1 or above.
    ExtentHasPageZero,
    /// The extent reaches beyond the window: shorten it, or start it lower.
    ExtentOutsideWindow,
}

impl LayoutError {
    /// What is wrong: a text that a constant's panic can show, too.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::BaseNotAligned => "the window's base is not a multiple of 4 GiB",
            Self::BaseNotCanonical => {
                "the window does not lie in canonical addresses of this width: choose another base, or, for aarch64, \
                 AddressWidth::of_halves"
            }
            Self::GuardLeavesHalf => "a guard beside the window would leave its half of the address space",
            Self::ExtentEmpty => "the extent has no page",
            Self::ExtentHasPageZero => "the extent contains page 0, which must stay free",
            Self::ExtentOutsideWindow => "the extent reaches beyond the window",
        }
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for LayoutError {}
