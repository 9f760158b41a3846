//! A range of addresses that is mapped at once where the host allows it, and else piece by piece, as it is wanted.
//!
//! A process may be kept from mapping much (`RLIMIT_AS`, `RLIMIT_DATA`, strict accounting of memory), or pay for all that
//! it maps with memory that stays (`mlockall`). Then only a first piece is mapped, far below where the host maps by
//! itself, and later pieces go right behind it: the host is asked for these addresses, and what it maps elsewhere is no
//! piece. Each such range begins a cell of addresses, in which it has room; so two of them either want the same first
//! piece, and one goes on to the next cell, or never meet.
//!
//! Nobody waits: whoever maps a piece first takes its addresses, all those behind go on with the next. A piece that the
//! host refused is given back to the range, unless somebody has taken the next meanwhile; then it stays a gap.

use core::ops::Range;
use core::ptr::NonNull;

use super::mapping::{self, GRANULE, MapError, map, map_at, unmap};
use crate::sync::{AtomicU64, Ordering};

/// A cell has room for any range, and begins at a multiple of any alignment that one is given.
const CELL: usize = 8 << 30;
/// The cells that are tried, counted down from where the host maps by itself: it comes to them when it has mapped as much.
const CELLS: core::ops::RangeInclusive<usize> = 2..=65;

/// The range, unmapped when it is dropped.
#[derive(Debug)]
pub(super) struct Window {
    start: NonNull<u8>,
    bytes: usize,
    /// Bytes from the start that are mapped, or being mapped.
    reached: AtomicU64,
    /// The lowest byte that is in a gap.
    gap: AtomicU64,
}

// SAFETY: a range of addresses of the process, the same for all its threads; this type does nothing with the memory but
// to map and to unmap it.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    /// `bytes` bytes, rounded up, of which those from the start on are mapped that [`mapped`](Self::mapped) says. The
    /// first is at a multiple of `align`, a power of two.
    pub(super) fn new(bytes: usize, align: usize) -> Result<Self, MapError> {
        let bytes = bytes.checked_next_multiple_of(GRANULE).ok_or(MapError::BadSize)?;
        let align = align.max(GRANULE);
        let room = bytes.checked_add(align).ok_or(MapError::BadSize)?;
        let probe = map(GRANULE)?;
        // SAFETY: mapped just now, and used by nobody.
        let is_locked = unsafe { mapping::refresh(probe.as_ptr(), GRANULE) }.is_err();
        unmap(probe, GRANULE);
        if !is_locked {
            if let Ok(start) = mapping::map_aligned(bytes, align, room) {
                return Ok(Self::mapped_to(start, bytes, bytes));
            }
        }
        Self::in_pieces(bytes, align)
    }

    /// The same, of which only a first piece is mapped.
    pub(super) fn in_pieces(bytes: usize, align: usize) -> Result<Self, MapError> {
        if bytes.checked_add(align).is_none_or(|room| room > CELL) {
            return Err(MapError::BadSize);
        }
        let probe = map(GRANULE)?;
        unmap(probe, GRANULE);
        let mut refused = MapError::BadSize;
        for cell in CELLS {
            let Some(start) = (probe.addr().get() / CELL).checked_sub(cell).filter(|cell| *cell > 0) else {
                break;
            };
            match map_at(start * CELL, GRANULE) {
                Ok(start) => return Ok(Self::mapped_to(start, bytes, GRANULE)),
                Err(error) => refused = error.into(),
            }
        }
        Err(refused)
    }

    const fn mapped_to(start: NonNull<u8>, bytes: usize, reached: usize) -> Self {
        Self { start, bytes, reached: AtomicU64::new(reached as u64), gap: AtomicU64::new(u64::MAX) }
    }

    /// Its first byte.
    pub(super) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes from the start on are mapped in a window that nobody has grown yet.
    pub(super) fn mapped(&self) -> usize {
        to_usize(self.reached.load(Ordering::Relaxed))
    }

    /// Maps the next piece: `most` bytes, or half, and so on, but at least `least`, all multiples of the granule. Says
    /// which they are. `None` where the range ends, or the host refuses.
    pub(super) fn grow(&self, least: usize, most: usize) -> Option<Range<usize>> {
        let least = least.max(1).checked_next_multiple_of(GRANULE)?;
        let mut size = most.max(least).checked_next_multiple_of(GRANULE)?;
        loop {
            if let Some(piece) = self.map_next(size) {
                return Some(piece);
            }
            if size == least {
                return None;
            }
            size = (size / 2).next_multiple_of(GRANULE).max(least);
        }
    }

    fn map_next(&self, size: usize) -> Option<Range<usize>> {
        // Release and Acquire: who finds that there is no more sees that others are at it (`growth`). Whoever is told of the
        // piece is told in an order of its own.
        let next = |reached| (to_usize(reached) + size <= self.bytes).then_some(reached + size as u64);
        let first = self.reached.fetch_update(Ordering::Release, Ordering::Acquire, next).ok()?;
        let (start, end) = (to_usize(first), first + size as u64);
        if map_at(self.start.addr().get() + start, size).is_ok() {
            return Some(start..start + size);
        }
        if self.reached.compare_exchange(end, first, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            self.gap.fetch_min(first, Ordering::Relaxed);
        }
        None
    }

    /// Unmaps all of it that lies below the first gap, before it is dropped: behind one, others may have mapped.
    ///
    /// # Safety
    /// From now on it is neither used nor dropped.
    pub(super) unsafe fn unmap(&self) {
        let reached = self.reached.load(Ordering::Relaxed).min(self.gap.load(Ordering::Relaxed));
        unmap(self.start, to_usize(reached));
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: it is being dropped.
        unsafe { self.unmap() }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the crate is for 64-bit machines")]
const fn to_usize(bytes: u64) -> usize {
    bytes as usize
}
