//! Frame allocators of the `x86_64` crate that take nothing back.

use x86_64::structures::paging::{FrameAllocator, Size4KiB};

use crate::platform::{Frame, FreshFrames};

impl<T: FrameAllocator<Size4KiB>> FreshFrames for T {
    fn next_frame(&mut self) -> Option<Frame> {
        Frame::new(self.allocate_frame()?.start_address().as_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocator_of_the_x86_64_crate_is_one() {
        use x86_64::PhysAddr;
        use x86_64::structures::paging::PhysFrame;

        struct BootFrames(u64);
        // SAFETY: the frames are nobody's.
        unsafe impl FrameAllocator<Size4KiB> for BootFrames {
            fn allocate_frame(&mut self) -> Option<PhysFrame> {
                self.0 += 4096;
                Some(PhysFrame::containing_address(PhysAddr::new(self.0)))
            }
        }
        assert_eq!(BootFrames(0x1000).next_frame(), Frame::new(0x2000));
    }
}
