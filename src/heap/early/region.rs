//! The memory of an early region.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;

use super::bump::{Bump, Span, Use};
use crate::sync::{Figure, Ordering};

/// What the ends of blocks are multiples of, so that blocks of the usual alignments lie close together, and the one before
/// the last becomes the last. The region is so aligned, too.
const GRANULE: usize = 16;

/// `BYTES` bytes, from which blocks are taken.
#[repr(C, align(16))]
pub(super) struct EarlyRegion<const BYTES: usize> {
    memory: UnsafeCell<[MaybeUninit<u8>; BYTES]>,
    bump: Bump,
    /// The most bytes that were ever used.
    peak: Figure,
}

// SAFETY: nothing is done with the memory but to hand each block out to one caller at a time; the rest is atomic.
unsafe impl<const BYTES: usize> Sync for EarlyRegion<BYTES> {}

impl<const BYTES: usize> EarlyRegion<BYTES> {
    pub(super) const fn new() -> Self {
        const { assert!(BYTES <= 1 << 31, "at most 2 GiB") };
        Self { memory: UnsafeCell::new([MaybeUninit::uninit(); BYTES]), bump: Bump::new(), peak: Figure::new(0) }
    }

    const fn start(&self) -> *mut u8 {
        self.memory.get().cast()
    }

    /// Whether a block is one of this region's.
    #[inline]
    pub(super) fn holds(&self, block: *mut u8) -> bool {
        block.addr().wrapping_sub(self.start().addr()) < BYTES
    }

    /// Takes a block; null if there is no room.
    pub(super) fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(block) = self.bump.take(|used| self.place(used, layout)) else { return ptr::null_mut() };
        self.raise_peak(block.end);
        self.start().wrapping_add(block.start as usize)
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// It came from [`alloc`](Self::alloc) of this region and has this layout now; nobody uses it.
    pub(super) unsafe fn free(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = self.span(block, layout.size()) {
            self.bump.give_back(block);
        }
    }

    /// Whether a block has `new_size` bytes where it is: because it is the last, or since it shrinks.
    ///
    /// # Safety
    /// As for [`free`](Self::free), but that only what is beyond `new_size` is in nobody's use.
    pub(super) unsafe fn resize(&self, block: *mut u8, layout: Layout, new_size: usize) -> bool {
        let (Some(was), Some(wanted)) = (self.span(block, layout.size()), self.span(block, new_size)) else {
            return false;
        };
        if wanted != was && self.bump.resize(was, wanted.end) {
            self.raise_peak(wanted.end);
            return true;
        }
        wanted.end <= was.end
    }

    pub(super) fn used(&self) -> Use {
        self.bump.now()
    }

    /// The most bytes that were ever used.
    pub(super) fn peak(&self) -> u32 {
        u32::try_from(self.peak.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    fn raise_peak(&self, used: u32) {
        self.peak.fetch_max(used.into(), Ordering::Relaxed);
    }

    /// Where a block would be behind so many used bytes.
    fn place(&self, used: u32, layout: Layout) -> Option<Span> {
        let end_of_used = self.start().addr() + used as usize;
        let at = end_of_used.checked_next_multiple_of(layout.align())?;
        Self::span_at(at - self.start().addr(), layout.size())
    }

    /// The bytes of a block that is at this address.
    fn span(&self, block: *mut u8, size: usize) -> Option<Span> {
        Self::span_at(block.addr().checked_sub(self.start().addr())?, size)
    }

    /// The bytes of a block, if it has any and lies in the region.
    fn span_at(start: usize, size: usize) -> Option<Span> {
        let end = start.checked_add(size)?.checked_next_multiple_of(GRANULE)?;
        let fits = size != 0 && end <= BYTES / GRANULE * GRANULE;
        // BYTES has room in 32 bits.
        let narrow = |bytes: usize| u32::try_from(bytes).ok();
        if fits { Some(Span { start: narrow(start)?, end: narrow(end)? }) } else { None }
    }
}
