//! Frames from functions.

use crate::platform::{Frame, FrameSource, NodeId};

/// Frames from two functions on physical addresses, in bytes: of a kernel whose frame allocator is reached by calls.
///
/// `alloc` gives the address of a frame, or `None` when there is none left; one that is no multiple of 4096 below 2^52 is
/// not taken, and lost. `free` gets the addresses that `alloc` gave, each once. Both are called wherever the arena's
/// operations are, at the same time on several CPUs: where they take a lock, mask interrupts while it is held, and do not
/// use the arena from an NMI. Closures serve as well as functions. Memory nodes are ignored.
///
/// ```
/// use core::sync::atomic::{AtomicU64, Ordering};
/// use kernel_arena::kit::FrameFns;
/// use kernel_arena::platform::{Frame, FrameSource};
///
/// let next = AtomicU64::new(0x10_0000);
/// let frames = FrameFns { alloc: || Some(next.fetch_add(4096, Ordering::Relaxed)), free: |_| {} };
/// assert_eq!(frames.alloc(None), Frame::new(0x10_0000));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FrameFns<A = fn() -> Option<u64>, F = fn(u64)> {
    /// Takes a frame.
    pub alloc: A,
    /// Takes it back.
    pub free: F,
}

impl FrameFns {
    /// Frames from these two.
    pub const fn new(alloc: fn() -> Option<u64>, free: fn(u64)) -> Self {
        Self { alloc, free }
    }
}

impl<A: Fn() -> Option<u64>, F: Fn(u64)> FrameSource for FrameFns<A, F> {
    fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
        Frame::new((self.alloc)()?)
    }

    unsafe fn free(&self, frame: Frame) {
        (self.free)(frame.address());
    }
}
