//! What an allocation refuses.

use core::alloc::Layout;
use core::fmt;

use super::classes::LARGEST;
use crate::addr::PAGE_BYTES;
use crate::arena::AllocError;

/// Why there is no object. Nothing was taken, but for bookkeeping pages that stay for the next try.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlabError {
    /// An object of zero bytes: ask for at least one.
    ZeroSize,
    /// More than [`LARGEST`] bytes: take pages.
    TooLarge,
    /// An alignment of more than a page: take pages.
    TooAligned,
    /// There is no object left, and the page source has no pages for more.
    Pages(AllocError),
    /// The metadata source has no page left.
    OutOfMetadata,
}

impl SlabError {
    /// Why there is no class for a layout.
    pub(super) const fn of(layout: Layout) -> Self {
        if layout.size() == 0 {
            Self::ZeroSize
        } else if layout.align() > PAGE_BYTES {
            Self::TooAligned
        } else {
            Self::TooLarge
        }
    }
}

impl fmt::Display for SlabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroSize => f.write_str("an object of zero bytes was asked for"),
            Self::TooLarge => write!(f, "more than {LARGEST} bytes were asked for: take pages"),
            Self::TooAligned => f.write_str("an alignment of more than a page was asked for: take pages"),
            Self::Pages(error) => write!(f, "no object is left, and no page for more: {error}"),
            Self::OutOfMetadata => f.write_str(
                "the metadata source has no page left: lend more (an arena's heap takes them from the frame source)",
            ),
        }
    }
}

impl core::error::Error for SlabError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Pages(error) => Some(error),
            _ => None,
        }
    }
}
