//! A physical map at a fixed distance: virtual address = physical address + offset.

use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence};

use super::{EntryAttributes, Frame, PhysMap, ReversibleMap};

/// The map of a kernel that has all physical memory at one offset.
#[derive(Clone, Copy, Debug)]
pub struct FixedOffset {
    offset: u64,
    attributes: EntryAttributes,
}

impl FixedOffset {
    /// Physical address 0 is mapped at `offset`, with these attribute bits.
    ///
    /// # Safety
    /// Every frame that will be asked for is mapped, writable, at its address plus `offset` (wrapping), which is never
    /// 0, and `attributes` are those of that mapping.
    pub const unsafe fn new(offset: u64, attributes: EntryAttributes) -> Self {
        Self { offset, attributes }
    }
}

impl PhysMap for FixedOffset {
    #[inline]
    fn frame_to_ptr(&self, frame: Frame) -> NonNull<u8> {
        let address = frame.address().wrapping_add(self.offset);
        let pointer = core::ptr::with_exposed_provenance_mut(to_usize(address));
        // Whoever made this map promised that no frame of the platform's is mapped at address 0.
        NonNull::new(pointer).unwrap_or_else(nowhere)
    }

    fn attributes(&self) -> EntryAttributes {
        self.attributes
    }
}

impl ReversibleMap for FixedOffset {
    fn ptr_to_frame(&self, pointer: NonNull<u8>) -> Frame {
        Frame::from_entry((pointer.addr().get() as u64).wrapping_sub(self.offset))
    }
}

/// What the promise excludes: a branch that is never taken, where a choice would stand between each load of a walk and the next.
/// The fence, which is no instruction, keeps it one. A call would do so, too, but whoever walks would save registers for it.
#[cold]
#[inline(always)]
fn nowhere() -> NonNull<u8> {
    compiler_fence(Ordering::Release);
    NonNull::dangling()
}

/// Addresses have 64 bits on every machine this crate is for (checked at the crate's root).
#[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits: lib.rs asserts it")]
const fn to_usize(address: u64) -> usize {
    address as usize
}
