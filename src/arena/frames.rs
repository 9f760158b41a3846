//! Frames on their way into slots.
//!
//! Frames that no slot holds yet are chained through their own first word, so that an allocation of any size needs no array.
//! Nobody else can reach them: they are not visible in any view, and what a stale translation might have written to them was
//! flushed before their last owner gave them back (I5). A *freed* frame is never chained that way.

use crate::platform::{Frame, FrameSource, NodeId, PhysMap, Platform};
use crate::tables::zero_frame;

/// Zeroed frames, each but for its first word. Those left in it go back to their source when it is dropped.
pub(super) struct FrameChain<'a, P: Platform> {
    platform: &'a P,
    head: Option<Frame>,
    count: u32,
}

/// The link of the last frame: no frame's address is odd.
const END: u64 = 1;

impl<'a, P: Platform> FrameChain<'a, P> {
    pub(super) const fn new(platform: &'a P) -> Self {
        Self { platform, head: None, count: 0 }
    }

    /// Takes frames until there are `count`; `None` if the source runs out first.
    pub(super) fn fill(&mut self, count: u32, node: Option<NodeId>) -> Option<()> {
        while self.count < count {
            let frame = self.platform.frames().alloc(node)?;
            zero_frame(self.platform, frame);
            self.push(frame);
        }
        Some(())
    }

    /// Takes one out, all of it zero.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let frame = self.head?;
        let word = self.first_word(frame);
        // SAFETY: the frame is in the chain, so its memory is ours, and `push` wrote this word.
        let link = unsafe { word.read() };
        // SAFETY: as above.
        unsafe { word.write(0) };
        self.head = if link == END { None } else { Frame::new(link) };
        self.count -= 1;
        Some(frame)
    }

    /// Puts a zeroed frame in.
    pub(super) fn push(&mut self, frame: Frame) {
        let link = self.head.map_or(END, Frame::address);
        // SAFETY: the frame was taken from the source and is in nobody else's hands.
        unsafe { self.first_word(frame).write(link) };
        self.head = Some(frame);
        self.count += 1;
    }

    fn first_word(&self, frame: Frame) -> *mut u64 {
        self.platform.phys_map().frame_to_ptr(frame).cast::<u64>().as_ptr()
    }
}

impl<P: Platform> Drop for FrameChain<'_, P> {
    fn drop(&mut self) {
        while let Some(frame) = self.pop() {
            // SAFETY: it came from this source, and was never visible to anybody else.
            unsafe { self.platform.frames().free(frame) };
        }
    }
}
