//! A mask that the kernel writes for a program.

use super::{HEADER_BYTES, MaskHeader, MaskSpan, PlaceError, WORD_BYTES, check_place, words};
use crate::addr::ArenaPtr;

/// A place in the arena where the kernel writes a mask for a program, anew each time.
///
/// Holding one proves that the place lies in the window, and is aligned; that it is the kernel's to write, whoever made it vouches.
/// What is in the arena is never asked: the figures are here.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelMask {
    ptr: ArenaPtr<MaskHeader>,
    span: MaskSpan,
}

impl KernelMask {
    /// The mask of these ids at `ptr`, where [`bytes`](Self::bytes) are the kernel's: a block of a [pool](crate::pool), for one.
    ///
    /// # Errors
    /// [`PlaceError`].
    pub const fn new(ptr: ArenaPtr<MaskHeader>, span: MaskSpan) -> Result<Self, PlaceError> {
        match check_place(ptr, Self::alloc_words(span)) {
            Ok(()) => Ok(Self { ptr, span }),
            Err(error) => Err(error),
        }
    }

    /// One of a row of masks that were checked together.
    pub(super) const fn at(ptr: ArenaPtr<MaskHeader>, span: MaskSpan) -> Self {
        Self { ptr, span }
    }

    /// How many bytes a mask of these ids takes, at most 1048: header, and room for as many ids from any base on.
    pub const fn bytes(span: MaskSpan) -> usize {
        (HEADER_BYTES + Self::alloc_words(span) * WORD_BYTES) as usize
    }

    /// What a program gets, as an address of its view or as this number.
    pub const fn ptr(&self) -> ArenaPtr<MaskHeader> {
        self.ptr
    }

    /// Which ids it has.
    pub const fn span(&self) -> MaskSpan {
        self.span
    }

    /// At most 129.
    #[expect(clippy::cast_possible_truncation, reason = "a span has at most 8192 ids")]
    pub(super) const fn alloc_words(span: MaskSpan) -> u32 {
        words(span.nr()) as u32
    }
}
