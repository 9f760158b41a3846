//! How much of a region is used, and how many blocks of it are out: one word, changed by compare-exchange.
//!
//! Blocks are taken from the lowest byte that was never passed over, one behind the other. A block that is given back while
//! it is the last makes its bytes free again; another only counts one block less, and when there is none left all bytes are
//! free again. So no list of free blocks is needed, and none is kept: this is for the few blocks that a kernel takes before
//! it has a heap.
//!
//! Whoever changes the word decides from the word alone, so that it makes no difference whether it was another meanwhile and
//! came back: a block whose end is where the used bytes end is the last one *now*. Each change is one exchange; what loses
//! one tries again, and never waits: an interrupt in the middle finds the region as it was before, or after.
//!
//! Orderings: what a block's last user did comes before what the next one of these bytes does. Giving back is Release,
//! taking is Acquire; all changes are exchanges of one word, so whoever takes sees everything that was given back before.

use crate::sync::{AtomicU64, Ordering};

/// The bytes of a block, counted from the region's start: never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// The word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// Bytes from the region's start on that are used, or passed over.
    pub(crate) bytes: u32,
    /// Blocks that are out.
    pub(crate) blocks: u32,
}

#[derive(Debug)]
pub(crate) struct Bump(AtomicU64);

impl Bump {
    #[cfg(not(kernel_arena_loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[cfg(kernel_arena_loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes the block that `place` puts behind so many used bytes, if there is room for one.
    pub(crate) fn take(&self, place: impl Fn(u32) -> Option<Span>) -> Option<Span> {
        let mut taken = None;
        let next = |word: u64| {
            let now = Use::of(word);
            taken = place(now.bytes);
            // Each block has a byte at least, so there are fewer than 2^32.
            taken.map(|block| Use { bytes: block.end, blocks: now.blocks + 1 }.word())
        };
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, next).ok()?;
        taken
    }

    /// Gives a block back.
    pub(crate) fn give_back(&self, block: Span) {
        let next = |word: u64| {
            let now = Use::of(word);
            let blocks = now.blocks.checked_sub(1)?;
            let bytes = match now.bytes {
                _ if blocks == 0 => 0,
                end if end == block.end => block.start,
                more => more,
            };
            Some(Use { bytes, blocks }.word())
        };
        // It fails only if no block is out: then there is nothing to give back.
        let _ = self.0.fetch_update(Ordering::Release, Ordering::Relaxed, next);
    }

    /// Has a block end elsewhere, if it is the last; says whether it does now.
    pub(crate) fn resize(&self, block: Span, end: u32) -> bool {
        let next = |word: u64| {
            let now = Use::of(word);
            (now.bytes == block.end).then(|| Use { bytes: end, ..now }.word())
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next).is_ok()
    }

    pub(crate) fn now(&self) -> Use {
        Use::of(self.0.load(Ordering::Relaxed))
    }
}

impl Use {
    const fn of(word: u64) -> Self {
        Self { bytes: (word & 0xffff_ffff) as u32, blocks: (word >> 32) as u32 }
    }

    const fn word(self) -> u64 {
        (self.blocks as u64) << 32 | self.bytes as u64
    }
}
