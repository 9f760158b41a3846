//! What an allocation refuses.

use core::fmt;

use crate::arena::AllocError;

/// Why there is no block. Nothing was taken, but for pages of bookkeeping, which stay for the next try.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// A block of zero bytes: ask for at least one.
    ZeroSize,
    /// An alignment of more than a page: take pages.
    TooAligned,
    /// More bytes than all pages of the source have.
    TooLarge,
    /// There is no room for the block, and the page source has no pages for more.
    Pages(AllocError),
    /// The metadata source has no page left.
    OutOfMetadata,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroSize => f.write_str("a block of zero bytes was asked for"),
            Self::TooAligned => f.write_str("an alignment of more than a page was asked for: take pages"),
            Self::TooLarge => f.write_str("more bytes were asked for than all pages of the source have"),
            Self::Pages(error) => write!(f, "there is no room for the block, and no page for more: {error}"),
            Self::OutOfMetadata => f.write_str(
                "the metadata source has no page left: lend more (an arena's heap takes them from the frame source)",
            ),
        }
    }
}

impl core::error::Error for PoolError {}
