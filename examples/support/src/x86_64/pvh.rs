//! What the PVH loader left in memory: the command line and the map of RAM.
//!
//! The structures are those of Xen's `hvm_start_info`, version 1 (Xen public headers,
//! `arch-x86/hvm/start_info.h`). They lie in the first megabyte, which the kernel does not use.

use core::ffi::CStr;

use super::tables::PHYSICAL_MAP;
use crate::layout::{FRAMES_BYTES, FRAMES_OFFSET};

/// The start of the structure; what else there is, is not needed.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

/// One entry of the memory map.
#[derive(Clone, Copy)]
#[repr(C)]
struct MemoryRange {
    address: u64,
    size_bytes: u64,
    kind: u32,
    reserved: u32,
}

const MAGIC: u32 = 0x336e_c578;
/// The kind of a range that is plain RAM.
const KIND_RAM: u32 = 1;

impl StartInfo {
    /// Reads the structure at a physical address.
    ///
    /// # Safety
    ///
    /// The address is the one that the loader gave.
    pub(super) unsafe fn read(address: u64) -> Self {
        // SAFETY: the caller promises that the loader put the structure there.
        let info = unsafe { physical_pointer(address).cast::<Self>().read() };
        assert!(info.magic == MAGIC && info.version >= 1, "the loader does not speak PVH version 1");
        info
    }

    /// The text of `-append`.
    pub(super) fn command_line(&self) -> &'static str {
        if self.command_line == 0 {
            return "";
        }
        let text = physical_pointer(self.command_line).cast();
        // SAFETY: by the protocol this is a string with a zero at its end, in memory that
        // the kernel never writes.
        unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("")
    }

    /// Checks that all frames are in RAM.
    pub(super) fn check_ram(&self) {
        let (first, end) = (FRAMES_OFFSET, FRAMES_OFFSET + FRAMES_BYTES);
        let entries = physical_pointer(self.memory_map).cast::<MemoryRange>();
        let found = (0..self.memory_map_entries as usize).any(|index| {
            // SAFETY: by the protocol there are so many entries.
            let range = unsafe { entries.wrapping_add(index).read() };
            range.kind == KIND_RAM && range.address <= first && end <= range.address.saturating_add(range.size_bytes)
        });
        assert!(found, "no RAM at {first:#x}..{end:#x}: give QEMU more memory, as in `-m 512M`");
    }
}

/// Where the kernel reaches the physical `address`, which must be in RAM.
fn physical_pointer(address: u64) -> *const u8 {
    let mapped = usize::try_from(PHYSICAL_MAP + address).expect("a usize has 64 bits");
    core::ptr::with_exposed_provenance(mapped)
}
