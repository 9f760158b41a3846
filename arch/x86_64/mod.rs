//! x86_64: 4-level or 5-level paging with 4 KiB pages.
//!
//! [`entry`] is the format, `slot` the inline assembly on it, [`fault`] decodes a #PF, [`control`] checks the control
//! registers, `memory` the memory type, [`tlb`] flushes this CPU. Entry format: Intel SDM vol. 3, 5.5 (figures 5-11,
//! tables 5-15 to 5-20); AMD64 APM vol. 2, 5.3.

pub mod control;
pub mod entry;
pub mod fault;
#[cfg(all(feature = "x86_64-frames", target_arch = "x86_64"))]
pub mod frames;
#[cfg(all(feature = "frames", target_arch = "x86_64"))]
mod fresh;
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
pub(crate) mod interrupts;
mod memory;
#[cfg(target_arch = "x86_64")]
pub(crate) mod prefetch;
mod slot;
pub mod tlb;
#[cfg(all(target_arch = "x86_64", not(kernel_arena_loom)))]
mod zero;

pub use fault::{decode_fault, decode_program_fault};

use core::ptr::NonNull;

use crate::addr::VirtAddr;
use crate::arch::{Arch, Leaf, MemoryTypeError, Root, TableReach, UnsupportedCpu, walk};
#[cfg(all(target_arch = "x86_64", feature = "zerocopy"))]
use crate::arch::{backends::stubs, resume};
#[cfg(all(target_arch = "x86_64", feature = "zerocopy"))]
use crate::fault::InstructionAddr;
use crate::layout::ArenaLayout;
use crate::platform::{EntryAttributes, Frame, PhysMap};
use crate::sync::AtomicU64;

/// The x86_64 page-table format.
#[derive(Debug)]
pub struct X86_64;

// SAFETY: `entry` is the format of the SDM and its tests show that decoding inverts encoding; `slot` is `lock`ed
// instructions, or the `sync` atomics elsewhere; on this architecture a locked instruction is itself the full barrier that
// makes an entry visible to walkers (Intel SDM vol. 3, 10.2.3.9 and 5.10.4.3: a not-present entry is never cached).
unsafe impl Arch for X86_64 {
    const NAME: &'static str = "x86_64";
    const BREAK_BEFORE_MAKE: bool = false;
    const ONE_ROOT_FOR_BOTH_HALVES: bool = true;
    const FAULTS_TELL_LEVELS: bool = false;
    const LEAF_ATTRIBUTES: u64 = entry::LEAF_ATTRIBUTES;
    const TABLE_ATTRIBUTES: u64 = entry::TABLE_ATTRIBUTES;

    #[inline]
    fn leaf(leaf: Leaf, attributes: EntryAttributes) -> u64 {
        entry::encode_leaf(leaf, attributes)
    }

    #[inline]
    fn decode_leaf(word: u64, attributes: EntryAttributes) -> Option<Leaf> {
        entry::decode_leaf(word, attributes)
    }

    #[inline]
    fn table(table: Frame, reach: TableReach, attributes: EntryAttributes) -> u64 {
        entry::encode_table(table, reach, attributes)
    }

    #[inline]
    fn decode_table(word: u64, attributes: EntryAttributes) -> Option<Frame> {
        entry::decode_table(word, attributes)
    }

    fn is_block(word: u64) -> bool {
        entry::is_block(word)
    }

    fn is_read_only(word: u64) -> bool {
        entry::is_read_only(word)
    }

    fn is_closed_to_programs(word: u64) -> bool {
        entry::is_closed_to_programs(word)
    }

    #[inline]
    fn full_barrier() {
        slot::full_barrier();
    }

    #[inline]
    fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
        slot::compare_exchange(slot, old, new)
    }

    #[inline]
    fn swap(slot: &AtomicU64, new: u64) -> u64 {
        slot::swap(slot, new)
    }

    #[cfg(all(target_arch = "x86_64", feature = "zerocopy"))]
    #[inline]
    fn resume_point(instruction: InstructionAddr) -> Option<InstructionAddr> {
        stubs::resume_point(instruction).or_else(|| resume::of_a_model(instruction))
    }

    // In a kernel there is no model.
    #[cfg(all(target_arch = "x86_64", feature = "zerocopy", not(any(unix, windows))))]
    #[inline]
    fn may_stop(instruction: InstructionAddr) -> bool {
        stubs::may_stop(instruction)
    }

    #[cfg(all(target_arch = "x86_64", not(kernel_arena_loom)))]
    #[inline]
    unsafe fn zero_page(page: NonNull<u8>) {
        // SAFETY: as the caller promises.
        unsafe { zero::zero_page(page) };
    }

    fn check_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        control::check_this_cpu(layout)
    }

    fn check_memory_type(
        _layout: &ArenaLayout,
        attributes: EntryAttributes,
        _mapped: NonNull<u8>,
    ) -> Result<(), MemoryTypeError> {
        memory::check(attributes, memory::types())
    }

    fn loaded_root(_address: VirtAddr) -> Option<Root> {
        control::loaded_root()
    }

    unsafe fn has_where_mapped(frame: Frame, map: &impl PhysMap) -> bool {
        let address = VirtAddr::new(map.frame_to_ptr(frame).addr().get() as u64);
        Self::loaded_root(address).is_none_or(|root| {
            // SAFETY: as the caller promises.
            let found = unsafe { walk::memory_at::<Self>(root, address, map) };
            found == Some(frame)
        })
    }
}
