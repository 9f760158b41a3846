//! Frames of physical memory: a lock-free stack, usable in any context.
//!
//! The stack is Treiber's: one word holds the index of the top frame and a tag that every change
//! counts up, so that a compare-exchange fails when frames came and went in between. The links
//! lie in an array of their own. They are never in the frames: a freed frame may still be
//! reached through a stale translation, and what is then written to it must harm nobody.
//!
//! It is strict: freeing what was not allocated panics. An allocator's test wants to know.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_arena::PAGE_SIZE;
use kernel_arena::platform::{Frame, FrameSource, NodeId};

use crate::layout::FRAMES_BYTES;

/// The number of frames.
const COUNT: usize = (FRAMES_BYTES / PAGE_SIZE) as usize;

/// In place of an index: there is no frame below.
const BOTTOM: u32 = u32::MAX;
/// In place of a link: the frame is not in the stack.
const OUT: u32 = u32::MAX - 1;

/// The frames of memory that nobody uses.
pub struct FrameStack {
    /// Index of the top frame in the low half, the tag in the high one.
    top: AtomicU64,
    /// Below each frame in the stack: the index of the next one, or [`BOTTOM`].
    links: [AtomicU32; COUNT],
    free_count: AtomicU32,
    /// Physical address of the first frame.
    base: AtomicU64,
}

const fn pack(tag: u64, index: u32) -> u64 {
    tag << 32 | index as u64
}

/// The top's index; the cast keeps the low half.
#[expect(clippy::cast_possible_truncation, reason = "the tag is to be cut off")]
const fn index_of(top: u64) -> u32 {
    top as u32
}

const fn next_tag(top: u64) -> u64 {
    (top >> 32).wrapping_add(1)
}

impl FrameStack {
    pub(crate) const fn new() -> Self {
        Self {
            top: AtomicU64::new(pack(0, BOTTOM)),
            links: [const { AtomicU32::new(OUT) }; COUNT],
            free_count: AtomicU32::new(0),
            base: AtomicU64::new(0),
        }
    }

    /// Puts all frames in, the first on top. `first` is its physical address.
    pub(crate) fn fill(&self, first: u64) {
        self.base.store(first, Ordering::Relaxed);
        for index in (0..COUNT as u64).rev() {
            self.free(Frame::new(first + index * PAGE_SIZE).expect("RAM starts at a page"));
        }
    }

    /// Takes a frame out, if there is one. Its content is whatever it was.
    pub fn alloc(&self) -> Option<Frame> {
        let mut top = self.top.load(Ordering::Acquire);
        loop {
            let index = index_of(top);
            let link = self.links.get(index as usize)?;
            // If somebody else takes this frame first, then what is read here may be anything,
            // and the tag makes the compare-exchange fail.
            let below = pack(next_tag(top), link.load(Ordering::Relaxed));
            match self.top.compare_exchange_weak(top, below, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => {
                    link.store(OUT, Ordering::Relaxed);
                    self.free_count.fetch_sub(1, Ordering::Relaxed);
                    let base = self.base.load(Ordering::Relaxed);
                    return Frame::new(base + u64::from(index) * PAGE_SIZE);
                }
                Err(now) => top = now,
            }
        }
    }

    /// Puts a frame back.
    ///
    /// # Panics
    ///
    /// If the frame is none of this stack's, or is in it already.
    pub fn free(&self, frame: Frame) {
        let base = self.base.load(Ordering::Relaxed);
        let index = frame.address().wrapping_sub(base) / PAGE_SIZE;
        let (index, link) = u32::try_from(index)
            .ok()
            .and_then(|index| Some((index, self.links.get(index as usize)?)))
            .unwrap_or_else(|| panic!("{frame:?} is not a frame of the frame stack"));
        // Whoever changes the link from OUT has the right to put the frame back.
        let freed = link.compare_exchange(OUT, BOTTOM, Ordering::Relaxed, Ordering::Relaxed);
        assert!(freed.is_ok(), "{frame:?} is freed twice");
        self.free_count.fetch_add(1, Ordering::Relaxed);

        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            link.store(index_of(top), Ordering::Relaxed);
            // Release: whoever takes the frame sees the link, and all that was done to the frame.
            match self.top.compare_exchange_weak(top, pack(next_tag(top), index), Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// How many frames are in the stack. While others allocate or free, off by their number.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.free_count.load(Ordering::Relaxed) as usize
    }
}

impl FrameSource for FrameStack {
    fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
        self.alloc()
    }

    unsafe fn free(&self, frame: Frame) {
        self.free(frame);
    }
}

impl fmt::Debug for FrameStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameStack").field("free_count", &self.free_count()).finish_non_exhaustive()
    }
}
