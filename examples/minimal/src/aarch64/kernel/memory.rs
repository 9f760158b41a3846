//! The frame allocator: it hands out the RAM behind the kernel's image, upwards, and takes nothing back.

/// Where the piece for the image ends (`link/aarch64.ld`), and the 128 MiB of RAM that `virt` has at least.
const IMAGE_END: u64 = 0x4120_0000;
const RAM_END: u64 = 0x4800_0000;

/// Frames that nobody has used yet.
#[derive(Debug)]
pub struct BootFrames {
    next: u64,
}

impl BootFrames {
    /// Those of the RAM behind the image.
    ///
    /// # Safety
    ///
    /// There is no other such allocator.
    pub(super) const unsafe fn behind_the_image() -> Self {
        Self { next: IMAGE_END }
    }

    /// The physical address of one.
    pub fn allocate(&mut self) -> Option<u64> {
        let frame = (self.next < RAM_END).then_some(self.next)?;
        self.next += 4096;
        Some(frame)
    }
}
