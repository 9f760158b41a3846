//! Frames on their way into slots.
//!
//! Frames that no slot holds yet are chained through their own first word, so that an allocation of any size needs no array.
//! Nobody else can reach them: they are not visible in any view, and what a stale translation might have written to them was
//! flushed before their last owner gave them back (I5). A *freed* frame is never chained that way.

use crate::arch::Arch;
use crate::platform::{Frame, FrameSource, NodeId, PhysMap, Platform};
use crate::tables::zero_frame;

/// Zeroed frames, each but for its first word, in the order in which the source gave them: so a source that counts upwards
/// fills ascending pages with ascending frames. Those left in it go back to their source when it is dropped.
pub(super) struct FrameChain<'a, P: Platform> {
    platform: &'a P,
    ends: Option<Ends>,
    count: u32,
}

/// The frame that leaves next, and the one that came last.
#[derive(Clone, Copy)]
struct Ends {
    first: Frame,
    last: Frame,
}

/// What a link has besides the next frame's address, which is even: so the last one's, of a frame that is all zero, is none.
const LINKED: u64 = 1;

impl<'a, P: Platform> FrameChain<'a, P> {
    pub(super) const fn new(platform: &'a P) -> Self {
        Self { platform, ends: None, count: 0 }
    }

    /// Takes frames until there are `count`; `None` if the source runs out first.
    pub(super) fn fill<A: Arch>(&mut self, count: u32, node: Option<NodeId>) -> Option<()> {
        while self.count < count {
            let frame = self.platform.frames().alloc(node)?;
            zero_frame::<A, P>(self.platform, frame);
            self.push(frame);
        }
        Some(())
    }

    /// Takes the first out, all of it zero.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let Ends { first, last } = self.ends?;
        let word = self.first_word(first);
        // SAFETY: the frame is in the chain, so its memory is ours, and it was zeroed or linked.
        let link = unsafe { word.read() };
        // SAFETY: as above.
        unsafe { word.write(0) };
        let next = if link & LINKED == 0 { None } else { Frame::new(link & !LINKED) };
        self.ends = next.map(|next| Ends { first: next, last });
        self.count -= 1;
        Some(first)
    }

    /// Puts a frame that is all zero behind the last.
    fn push(&mut self, frame: Frame) {
        let first = match self.ends {
            Some(Ends { first, last }) => {
                self.link(last, frame);
                first
            }
            None => frame,
        };
        self.ends = Some(Ends { first, last: frame });
        self.count += 1;
    }

    /// Puts the frame that left last, all zero still, before the first again.
    pub(super) fn put_back(&mut self, frame: Frame) {
        let last = match self.ends {
            Some(Ends { first, last }) => {
                self.link(frame, first);
                last
            }
            None => frame,
        };
        self.ends = Some(Ends { first: frame, last });
        self.count += 1;
    }

    fn link(&self, frame: Frame, next: Frame) {
        // SAFETY: the frame was taken from the source and is in nobody else's hands.
        unsafe { self.first_word(frame).write(next.address() | LINKED) };
    }

    fn first_word(&self, frame: Frame) -> *mut u64 {
        self.platform.phys_map().frame_to_ptr(frame).cast::<u64>().as_ptr()
    }
}

/// A zeroed frame, which goes back to its source when it is dropped.
pub(super) struct Fresh<'a, P: Platform> {
    platform: &'a P,
    frame: Frame,
}

impl<'a, P: Platform> Fresh<'a, P> {
    /// Takes one; `None` if the source has none.
    #[inline]
    pub(super) fn take<A: Arch>(platform: &'a P, node: Option<NodeId>) -> Option<Self> {
        let frame = platform.frames().alloc(node)?;
        zero_frame::<A, P>(platform, frame);
        Some(Self { platform, frame })
    }

    /// Which it is.
    pub(super) const fn frame(&self) -> Frame {
        self.frame
    }

    /// It is a page now.
    pub(super) const fn installed(self) {
        core::mem::forget(self);
    }
}

impl<P: Platform> Drop for Fresh<'_, P> {
    fn drop(&mut self) {
        // SAFETY: it came from this source, and was never visible to anybody else.
        unsafe { self.platform.frames().free(self.frame) };
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
