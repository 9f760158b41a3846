//! Frames from an allocator that cannot take them back.

use core::fmt;

use spin::Mutex;

use crate::addr::PAGE_SIZE;
use crate::arch::interrupts;
use crate::platform::{FixedOffset, Frame, FrameSource, FreshFrames, NodeId, PhysMap};

/// The frames of a piece of RAM, lowest first.
///
/// ```
/// use kernel_arena::kit::{FrameRange, FreshFrames};
/// use kernel_arena::platform::Frame;
/// let mut frames = FrameRange::new(0x10_0800, 0x10_2fff); // whole frames only
/// assert_eq!(frames.next_frame(), Frame::new(0x10_1000));
/// assert_eq!(frames.next_frame(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRange {
    next: u64,
    end: u64,
}

impl FrameRange {
    /// The frames that lie wholly between these physical addresses, `end` excluded, in bytes. The frame at 0 is left out:
    /// where memory is mapped where it is, its address would be the null pointer.
    pub const fn new(start: u64, end: u64) -> Self {
        // A start in the last page of all rounds to no address.
        let next = match start.checked_next_multiple_of(PAGE_SIZE) {
            Some(0) => PAGE_SIZE,
            Some(next) => next,
            None => end,
        };
        Self { next, end }
    }
}

impl FreshFrames for FrameRange {
    fn next_frame(&mut self) -> Option<Frame> {
        let behind = self.next.checked_add(PAGE_SIZE).filter(|behind| *behind <= self.end)?;
        let frame = Frame::new(self.next)?;
        self.next = behind;
        Some(frame)
    }
}

/// A function that gives the physical address of a fresh frame, in bytes. An address that is no frame's counts as none.
#[derive(Clone, Copy, Debug)]
pub struct FreshFn(pub fn() -> Option<u64>);

impl FreshFrames for FreshFn {
    fn next_frame(&mut self) -> Option<Frame> {
        Frame::new((self.0)()?)
    }
}

/// A frame source over [`FreshFrames`], which keeps what comes back and hands it out again first. Memory nodes are ignored.
///
/// Frames that are kept are chained through their own first words, so there is no limit to their number. A lock is held, with
/// interrupts masked, for the time that one frame takes. Context: threads and interrupt handlers on any CPU; not faults, nor
/// NMIs.
///
/// # Examples
/// In a static, filled when the kernel knows its memory (on a host the process's stands for it):
/// ```
/// use kernel_arena::kit::{FrameRange, RecyclingFrames};
/// use kernel_arena::platform::{EntryAttributes, FixedOffset, FrameSource};
///
/// static FRAMES: RecyclingFrames<FrameRange> = RecyclingFrames::new();
/// assert_eq!(FRAMES.alloc(None), None); // not filled yet
///
/// # let memory = vec![0u8; 3 * 4096].leak().as_mut_ptr().expose_provenance() as u64;
/// # let (start, end, offset) = (memory, memory + 3 * 4096, 0);
/// // SAFETY: these frames are mapped there.
/// let map = unsafe { FixedOffset::new(offset, EntryAttributes::default()) };
/// // SAFETY: they are nobody else's, and mapped there.
/// unsafe { FRAMES.fill(FrameRange::new(start, end), map) };
/// let frame = FRAMES.alloc(None).unwrap();
/// // SAFETY: just taken, and nothing uses it.
/// unsafe { FRAMES.free(frame) };
/// assert_eq!(FRAMES.alloc(None), Some(frame));
/// ```
pub struct RecyclingFrames<T, M = FixedOffset> {
    stock: Mutex<Option<Stock<T, M>>>,
}

struct Stock<T, M> {
    fresh: T,
    map: M,
    freed: Option<Frame>,
}

/// The link of the last frame that is kept: no frame's address is odd.
const END: u64 = 1;

impl<T: FreshFrames, M: PhysMap> RecyclingFrames<T, M> {
    /// None yet.
    pub const fn new() -> Self {
        Self { stock: Mutex::new(None) }
    }

    /// Hands out what `fresh` has from now on.
    ///
    /// Once: frames that are out come back to the stock, and through the map, that they came from. If there is one already,
    /// nothing changes, and what was given comes back.
    ///
    /// # Safety
    /// `fresh` hands out frames that are nobody else's, each once; `map` reaches all of them, and keeps the contract of its trait:
    /// frames that come back are chained by their own first words.
    pub unsafe fn fill(&self, fresh: T, map: M) -> Option<(T, M)> {
        self.locked(|stock| match stock {
            Some(_) => Some((fresh, map)),
            None => {
                *stock = Some(Stock { fresh, map, freed: None });
                None
            }
        })
    }

    /// Runs `f` on what hands out fresh frames, alone and with interrupts masked: for the kernel's own use, such as taking
    /// some. `None` if there is nothing yet.
    ///
    /// # Safety
    /// What `f` leaves there keeps the promise of [`fill`](Self::fill): among them, it hands out no frame a second time.
    pub unsafe fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.locked(|stock| stock.as_mut().map(|stock| f(&mut stock.fresh)))
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Option<Stock<T, M>>) -> R) -> R {
        let flags = interrupts::mask();
        let result = f(&mut self.stock.lock());
        interrupts::restore(flags);
        result
    }
}

impl<T, M: PhysMap> Stock<T, M> {
    fn first_word(&self, frame: Frame) -> *mut u64 {
        self.map.frame_to_ptr(frame).cast::<u64>().as_ptr()
    }
}

impl<T: FreshFrames, M: PhysMap> FrameSource for RecyclingFrames<T, M> {
    fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
        self.locked(|stock| {
            let stock = stock.as_mut()?;
            let Some(frame) = stock.freed else { return stock.fresh.next_frame() };
            // SAFETY: the frame is kept here, so its memory is ours, and `free` wrote this word.
            let link = unsafe { stock.first_word(frame).read() };
            stock.freed = if link == END { None } else { Frame::new(link) };
            Some(frame)
        })
    }

    unsafe fn free(&self, frame: Frame) {
        self.locked(|stock| {
            // Nothing was handed out before there was anything: then there is nothing to take back.
            let Some(stock) = stock else { return };
            let link = stock.freed.map_or(END, Frame::address);
            // SAFETY: nobody uses the frame any more, as the caller promises, and the map gives its memory.
            unsafe { stock.first_word(frame).write(link) };
            stock.freed = Some(frame);
        });
    }
}

impl<T: FreshFrames, M: PhysMap> Default for RecyclingFrames<T, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, M> fmt::Debug for RecyclingFrames<T, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecyclingFrames").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::EntryAttributes;

    #[test]
    fn what_comes_back_goes_out_again_before_what_is_fresh() {
        let memory = vec![0u8; 9 * 4096].leak();
        let start = memory.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: the process's memory, at its own address.
        let map = unsafe { FixedOffset::new(0, EntryAttributes::default()) };
        let source = RecyclingFrames::new();
        // SAFETY: memory that nobody else uses, at its own address.
        unsafe { source.fill(FrameRange::new(start, start + 9 * 4096), map) };
        let frames: Vec<_> = core::iter::from_fn(|| source.alloc(None)).collect();
        assert_eq!(frames.len(), 8);
        assert!(frames.is_sorted());
        for frame in &frames[2..5] {
            // SAFETY: taken above, and used by nobody.
            unsafe { source.free(*frame) };
        }
        let again: Vec<_> = core::iter::from_fn(|| source.alloc(None)).collect();
        assert_eq!(again, [frames[4], frames[3], frames[2]]);
        // SAFETY: it is looked at.
        let left = unsafe { source.with(|fresh| fresh.clone()) };
        assert_eq!(left, Some(FrameRange { next: start.next_multiple_of(4096) + 8 * 4096, end: start + 9 * 4096 }));
    }

    #[test]
    fn ranges_at_the_ends_of_what_can_be_addressed_have_no_frames_beyond() {
        for (start, end) in
            [(u64::MAX, u64::MAX), (u64::MAX - 4096, u64::MAX), (0, 4095), (4096, 0), (1 << 52, u64::MAX)]
        {
            assert_eq!(FrameRange::new(start, end).next_frame(), None, "{start:#x} to {end:#x}");
        }
        assert_eq!(FrameRange::new(0, 4096).next_frame(), None, "null, where memory is mapped where it is");
        assert_eq!(FrameRange::new(0, 8192).next_frame(), Frame::new(4096));
    }

    #[test]
    fn it_is_filled_once() {
        let memory = vec![0u8; 4 * 4096].leak();
        let start = memory.as_mut_ptr().expose_provenance().next_multiple_of(4096) as u64;
        let map = |offset| {
            // SAFETY: at 0 the process's memory, at its own address; elsewhere nothing is touched.
            unsafe { FixedOffset::new(offset, EntryAttributes::default()) }
        };
        let source = RecyclingFrames::new();
        // SAFETY: memory that nobody else uses, at its own address.
        assert!(unsafe { source.fill(FrameRange::new(start, start + 2 * 4096), map(0)) }.is_none());
        let first = source.alloc(None).unwrap();
        // SAFETY: it comes back.
        let (fresh, elsewhere) = unsafe { source.fill(FrameRange::new(start, start + 4096), map(1 << 46)) }.unwrap();
        assert_eq!(fresh, FrameRange::new(start, start + 4096));
        assert_eq!(elsewhere.frame_to_ptr(first), map(1 << 46).frame_to_ptr(first));
        assert_eq!(source.alloc(None), Frame::new(start + 4096), "no frame is handed out twice");
        // SAFETY: taken above, and used by nobody.
        unsafe { source.free(first) };
        assert_eq!(source.alloc(None), Some(first));
    }
}
