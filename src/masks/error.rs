//! Why no mask can be at a place.

use core::fmt;

/// Why no mask can be at a place.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// Its offset is no multiple of 8.
    Misaligned {
        /// The offset.
        offset: u32,
    },
    /// It would not end in the window.
    LeavesWindow {
        /// Where it starts.
        offset: u32,
        /// How many bytes it has.
        bytes: u64,
    },
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { offset } => {
                write!(f, "offset {offset:#x} of a mask is not a multiple of 8: refuse the pointer")
            }
            Self::LeavesWindow { offset, bytes } => {
                write!(f, "a mask of {bytes} bytes at offset {offset:#x} leaves the window: refuse the pointer")
            }
        }
    }
}

impl core::error::Error for PlaceError {}
