//! The frame allocator: it hands out the RAM behind the kernel's image, upwards, and takes nothing back.

use x86_64::PhysAddr;
use x86_64::structures::paging::{FrameAllocator, PhysFrame, Size4KiB};

use super::PHYSICAL_MAP;

/// The part of PVH's start information that names the map of RAM (Xen public headers, `arch-x86/hvm/start_info.h`).
#[repr(C)]
struct StartInfo {
    _before: [u64; 5],
    memory_map: u64,
    memory_map_entries: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct MemoryRange {
    address: u64,
    size_bytes: u64,
    kind: u32,
    _reserved: u32,
}

/// Frames that nobody has used yet.
#[derive(Debug)]
pub struct BootFrames {
    next: u64,
    end: u64,
}

impl BootFrames {
    /// Those of the piece of RAM in which the kernel's image lies.
    ///
    /// # Safety
    ///
    /// QEMU gave the address, and there is no other such allocator.
    pub(super) unsafe fn behind_the_image(start_info: u64) -> Self {
        unsafe extern "C" {
            #[link_name = "image_end"]
            static IMAGE_END: u8;
        }
        let next = (&raw const IMAGE_END).addr() as u64;
        // SAFETY: by the protocol the structure is there, in RAM that nothing writes.
        let info = unsafe { &*mapped::<StartInfo>(start_info) };
        let ranges = mapped::<MemoryRange>(info.memory_map);
        // SAFETY: by the protocol there are so many.
        let ranges = unsafe { core::slice::from_raw_parts(ranges, info.memory_map_entries as usize) };
        let range = ranges
            .iter()
            .find(|range| range.kind == 1 && (range.address..range.address + range.size_bytes).contains(&next));
        let end = range.map_or(next, |range| range.address + range.size_bytes);
        // The page tables map so much.
        Self { next, end: end.min(1 << 30) }
    }
}

// SAFETY: each frame is handed out once, is RAM by QEMU's word, and lies behind all that the kernel is linked with.
unsafe impl FrameAllocator<Size4KiB> for BootFrames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = (self.next + 4096 <= self.end).then_some(self.next)?;
        self.next += 4096;
        Some(PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}

/// Where the kernel reaches a physical address.
fn mapped<T>(address: u64) -> *const T {
    core::ptr::with_exposed_provenance(usize::try_from(PHYSICAL_MAP + address).expect("a usize has 64 bits"))
}
