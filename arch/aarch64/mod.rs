//! aarch64: VMSAv8-64 stage 1, 4 KiB granule, levels 1 to 3.
//!
//! [`descriptor`] is the format, `slot` the inline assembly on it, [`fault`] decodes a data abort, [`control`] checks the
//! translation registers, [`memory`] the memory type, `probe` asks the walker, [`tlb`] holds the TLBI operand and a
//! ready-made shootdown. Descriptor format: Arm ARM D8.3; permissions D8.4; break-before-make D8.16.1; barriers for
//! table updates D8.16.2 and K13 ("ordering of explicit writes and translation table walks").

pub mod control;
pub mod descriptor;
pub mod fault;
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
pub(crate) mod interrupts;
pub mod memory;
#[cfg(target_arch = "aarch64")]
pub(crate) mod prefetch;
mod probe;
mod slot;
pub mod tlb;
#[cfg(all(target_arch = "aarch64", not(kernel_arena_loom)))]
mod zero;

pub use fault::{decode_fault, decode_program_fault};
pub use memory::{attributes_at, normal_memory};
pub use tlb::BroadcastShootdown;

use core::ptr::NonNull;

use crate::addr::VirtAddr;
use crate::arch::{Arch, Leaf, MemoryTypeError, Root, TableReach, UnsupportedCpu, WalkEnd};
#[cfg(all(target_arch = "aarch64", feature = "zerocopy"))]
use crate::arch::{backends::stubs, resume};
#[cfg(all(target_arch = "aarch64", feature = "zerocopy"))]
use crate::fault::InstructionAddr;
use crate::layout::ArenaLayout;
use crate::platform::{EntryAttributes, Frame, PhysMap};
use crate::sync::AtomicU64;

/// The aarch64 page-table format.
#[derive(Debug)]
pub struct AArch64;

// SAFETY: `descriptor` is the format of the Arm ARM and its tests show that decoding inverts encoding; `slot` is an
// exclusive pair or an LSE instruction with acquire and release, or the `sync` atomics elsewhere; `publish` is the
// `dsb ishst` that orders a descriptor write before later walks (Arm ARM D8.2.6), `publish_and_sync` adds the `isb` without
// which instructions already fetched here may still fault.
unsafe impl Arch for AArch64 {
    const NAME: &'static str = "aarch64";
    const BREAK_BEFORE_MAKE: bool = true;
    const LEAF_ATTRIBUTES: u64 = descriptor::LEAF_ATTRIBUTES;
    const TABLE_ATTRIBUTES: u64 = descriptor::TABLE_ATTRIBUTES;

    #[inline]
    fn leaf(leaf: Leaf, attributes: EntryAttributes) -> u64 {
        descriptor::encode_leaf(leaf, attributes)
    }

    #[inline]
    fn decode_leaf(word: u64, attributes: EntryAttributes) -> Option<Leaf> {
        descriptor::decode_leaf(word, attributes)
    }

    #[inline]
    fn table(table: Frame, reach: TableReach, attributes: EntryAttributes) -> u64 {
        descriptor::encode_table(table, reach, attributes)
    }

    #[inline]
    fn decode_table(word: u64, attributes: EntryAttributes) -> Option<Frame> {
        descriptor::decode_table(word, attributes)
    }

    fn is_block(word: u64) -> bool {
        descriptor::is_block(word)
    }

    fn is_read_only(word: u64) -> bool {
        descriptor::is_read_only(word)
    }

    fn is_closed_to_programs(word: u64) -> bool {
        descriptor::is_closed_to_programs(word)
    }

    #[inline]
    fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
        slot::compare_exchange(slot, old, new)
    }

    #[inline]
    fn try_install(slot: &AtomicU64, vacant: u64, entry: u64) -> Result<(), u64> {
        // What a fault finds is 0 as a rule, and known to be where this is compiled.
        if vacant == 0 { slot::fill(slot, entry) } else { slot::compare_exchange(slot, vacant, entry) }
    }

    #[inline]
    fn swap(slot: &AtomicU64, new: u64) -> u64 {
        slot::swap(slot, new)
    }

    #[inline]
    fn publish() {
        tlb::publish();
    }

    #[inline]
    fn publish_and_sync() {
        tlb::publish_and_sync();
    }

    #[inline]
    fn observe() {
        tlb::observe();
    }

    #[cfg(all(target_arch = "aarch64", feature = "zerocopy"))]
    #[inline]
    fn resume_point(instruction: InstructionAddr) -> Option<InstructionAddr> {
        stubs::resume_point(instruction).or_else(|| resume::of_a_model(instruction))
    }

    // In a kernel there is no model.
    #[cfg(all(target_arch = "aarch64", feature = "zerocopy", not(any(unix, windows))))]
    #[inline]
    fn may_stop(instruction: InstructionAddr) -> bool {
        stubs::may_stop(instruction)
    }

    #[cfg(all(target_arch = "aarch64", not(kernel_arena_loom)))]
    #[inline]
    unsafe fn zero_page(page: NonNull<u8>) {
        // SAFETY: as the caller promises.
        unsafe { zero::zero_page(page) };
    }

    fn check_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        control::check_this_cpu(layout)
    }

    fn check_memory_type(
        layout: &ArenaLayout,
        attributes: EntryAttributes,
        mapped: NonNull<u8>,
    ) -> Result<(), MemoryTypeError> {
        memory::check_on_this_cpu(layout.cpus(), attributes, VirtAddr::new(mapped.addr().get() as u64))
    }

    fn loaded_root(address: VirtAddr) -> Option<Root> {
        control::loaded_root(address)
    }

    unsafe fn has_where_mapped(frame: Frame, map: &impl PhysMap) -> bool {
        let address = VirtAddr::new(map.frame_to_ptr(frame).addr().get() as u64);
        probe::translate(address).is_none_or(|mapped| mapped.frame() == Some(frame))
    }

    /// By an address translation instruction, which needs no physical map, and heeds what the registers say.
    unsafe fn probe(address: VirtAddr, _map: &impl PhysMap) -> Option<WalkEnd> {
        probe::translate(address).map(probe::Translation::end)
    }
}
