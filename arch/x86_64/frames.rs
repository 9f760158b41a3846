//! The adapter for frame allocators of the `x86_64` crate.
//!
//! Theirs take `&mut self`, so a lock is needed, and since an interrupt handler may allocate too, interrupts are masked while
//! it is held. An NMI cannot be masked: **not from a fault handler, not from an NMI**. The fault path of an arena never
//! allocates, so it is safe all the same; but the operations that are documented for *any context* and call the frame source
//! (`alloc_pages` with `Context::Any`) are then for threads and interrupt handlers only.

use spin::Mutex;
use x86_64::PhysAddr;
use x86_64::structures::paging::{FrameAllocator, FrameDeallocator, PhysFrame, Size4KiB};

use crate::arch::interrupts;
use crate::platform::{Frame, FrameSource, NodeId};

/// A frame allocator of the `x86_64` crate, as a frame source. Memory nodes are ignored.
///
/// Context: thread and interrupt handlers, on any CPU; not from faults or NMIs.
#[derive(Debug)]
pub struct LockedFrames<T> {
    allocator: Mutex<T>,
}

impl<T: FrameAllocator<Size4KiB> + FrameDeallocator<Size4KiB>> LockedFrames<T> {
    /// Wraps an allocator.
    pub const fn new(allocator: T) -> Self {
        Self { allocator: Mutex::new(allocator) }
    }

    /// Runs `f` on the allocator, alone and with interrupts masked: for the kernel's own use of it.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        masked(|| f(&mut self.allocator.lock()))
    }

    /// The allocator, back.
    pub fn into_inner(self) -> T {
        self.allocator.into_inner()
    }
}

impl<T: FrameAllocator<Size4KiB> + FrameDeallocator<Size4KiB>> FrameSource for LockedFrames<T> {
    fn alloc(&self, _node: Option<NodeId>) -> Option<Frame> {
        self.with(|allocator| allocator.allocate_frame()).and_then(|frame| Frame::new(frame.start_address().as_u64()))
    }

    unsafe fn free(&self, frame: Frame) {
        let frame = PhysFrame::containing_address(PhysAddr::new_truncate(frame.address()));
        // SAFETY: the caller promises that the frame is not used any more.
        self.with(|allocator| unsafe { allocator.deallocate_frame(frame) });
    }
}

/// With interrupts masked. A process cannot mask them, and none come.
fn masked<R>(f: impl FnOnce() -> R) -> R {
    let flags = interrupts::mask();
    let result = f();
    interrupts::restore(flags);
    result
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    /// Hands out what is in it.
    struct Stack(Vec<PhysFrame>);

    // SAFETY: it hands out only what was put in, each once.
    unsafe impl FrameAllocator<Size4KiB> for Stack {
        fn allocate_frame(&mut self) -> Option<PhysFrame> {
            self.0.pop()
        }
    }

    impl FrameDeallocator<Size4KiB> for Stack {
        unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
            self.0.push(frame);
        }
    }

    #[test]
    fn frames_go_out_and_come_back() {
        let frames = [0x3000, 0x8000].map(|address| PhysFrame::containing_address(PhysAddr::new(address)));
        let source = LockedFrames::new(Stack(frames.to_vec()));
        let first = source.alloc(Some(NodeId::new(3))).unwrap();
        assert_eq!(first, Frame::new(0x8000).unwrap());
        assert_eq!(source.alloc(None), Frame::new(0x3000));
        assert_eq!(source.alloc(None), None);
        // SAFETY: it came from this source.
        unsafe { source.free(first) };
        assert_eq!(source.with(|stack| stack.0.len()), 1);
        assert_eq!(source.into_inner().0, [frames[1]]);
    }
}
