//! The lent metadata, kept as a pointer until it is given back.

use core::mem::MaybeUninit;

use crate::metadata::MetadataWord;

/// Memory that the kernel lent for as long as the arena exists.
#[derive(Debug)]
pub(in crate::arena) struct Metadata(*mut [MaybeUninit<MetadataWord>]);

// SAFETY: the pointer stands for a `&'static mut` slice of `Send + Sync` words, and it is turned back into one only by
// whoever owns the arena.
unsafe impl Send for Metadata {}
// SAFETY: as above; nothing is done through a shared reference to it.
unsafe impl Sync for Metadata {}

impl Metadata {
    pub(in crate::arena) fn new(lent: &'static mut [MaybeUninit<MetadataWord>]) -> Self {
        Self(lent)
    }

    /// The words, to build in.
    ///
    /// # Safety
    /// Called once; what is built in them is not used after [`give_back`](Self::give_back).
    pub(in crate::arena) unsafe fn words(&self) -> &'static mut [MaybeUninit<MetadataWord>] {
        // SAFETY: the slice was lent for ever, and the caller promises that it is nobody else's now.
        unsafe { &mut *self.0 }
    }

    /// The slice, as it was lent.
    pub(in crate::arena) fn give_back(self) -> &'static mut [MaybeUninit<MetadataWord>] {
        // SAFETY: the slice was lent for ever; what was built in it is not used any more, as `words` demands.
        unsafe { &mut *self.0 }
    }
}
