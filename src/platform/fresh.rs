//! Frames that do not come back.

use super::Frame;

/// What hands out frames, each once, and takes none back: the allocator with which many kernels begin.
///
/// `FrameRange` and `FreshFn` of the [`kit`](crate::kit) are some; on x86_64 so is every `FrameAllocator<Size4KiB>` of the `x86_64` crate.
pub trait FreshFrames {
    /// The next frame, or `None` when there is none left. It is ordinary memory, and nobody else's.
    fn next_frame(&mut self) -> Option<Frame>;
}
