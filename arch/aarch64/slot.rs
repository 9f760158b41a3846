//! Atomic steps on a slot, in inline assembly.
//!
//! With FEAT_LSE one `casal` or `swpal`, else a load-acquire exclusive and store-release exclusive pair: acquire and
//! release in both (Arm ARM B2.3.11, B2.9). The barriers that a table walker needs are not here but in `tlb`, once a batch.
//! On other processors, and under a model checker, the `sync` atomics do the same.

#[cfg(any(not(target_arch = "aarch64"), kernel_arena_loom))]
use crate::arch::{Arch, portable::Portable};
use crate::sync::AtomicU64;

#[cfg(all(target_arch = "aarch64", target_feature = "lse", not(kernel_arena_loom)))]
#[inline]
pub(super) fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
    let seen: u64;
    // SAFETY: `slot` is a live, aligned 64-bit atomic in normal memory; the instruction touches it alone.
    unsafe {
        core::arch::asm!(
            "casal {seen}, {new}, [{slot}]",
            slot = in(reg) slot.as_ptr(),
            new = in(reg) new,
            seen = inout(reg) old => seen,
            options(nostack, preserves_flags),
        );
    }
    if seen == old { Ok(()) } else { Err(seen) }
}

#[cfg(all(target_arch = "aarch64", not(target_feature = "lse"), not(kernel_arena_loom)))]
#[inline]
pub(super) fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
    // How what was there differs from what was to be there.
    let difference: u64;
    // SAFETY: `slot` is a live, aligned 64-bit atomic in normal memory, the only memory touched. An interrupt between the
    // pair clears the monitor, so the store fails and the pair is run again (Arm ARM B2.17). A monitor that stays open harms
    // nobody: each exclusive store comes after a load of its own.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldaxr {difference}, [{slot}]",
            "eor {difference}, {difference}, {old}",
            "cbnz {difference}, 3f",
            "stlxr {failed:w}, {new}, [{slot}]",
            "cbnz {failed:w}, 2b",
            "3:",
            slot = in(reg) slot.as_ptr(),
            old = in(reg) old,
            new = in(reg) new,
            difference = out(reg) difference,
            failed = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    if difference == 0 { Ok(()) } else { Err(difference ^ old) }
}

/// The same where 0 is to be there.
#[cfg(all(target_arch = "aarch64", not(target_feature = "lse"), not(kernel_arena_loom)))]
#[inline]
pub(super) fn fill(slot: &AtomicU64, new: u64) -> Result<(), u64> {
    let seen: u64;
    // SAFETY: as in `compare_exchange`.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldaxr {seen}, [{slot}]",
            "cbnz {seen}, 3f",
            "stlxr {failed:w}, {new}, [{slot}]",
            "cbnz {failed:w}, 2b",
            "3:",
            slot = in(reg) slot.as_ptr(),
            new = in(reg) new,
            seen = out(reg) seen,
            failed = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    if seen == 0 { Ok(()) } else { Err(seen) }
}

#[cfg(not(all(target_arch = "aarch64", not(target_feature = "lse"), not(kernel_arena_loom))))]
#[inline]
pub(super) fn fill(slot: &AtomicU64, new: u64) -> Result<(), u64> {
    compare_exchange(slot, 0, new)
}

#[cfg(all(target_arch = "aarch64", target_feature = "lse", not(kernel_arena_loom)))]
#[inline]
pub(super) fn swap(slot: &AtomicU64, new: u64) -> u64 {
    let seen: u64;
    // SAFETY: `slot` is a live, aligned 64-bit atomic in normal memory; the instruction touches it alone.
    unsafe {
        core::arch::asm!(
            "swpal {new}, {seen}, [{slot}]",
            slot = in(reg) slot.as_ptr(),
            new = in(reg) new,
            seen = out(reg) seen,
            options(nostack, preserves_flags),
        );
    }
    seen
}

#[cfg(all(target_arch = "aarch64", not(target_feature = "lse"), not(kernel_arena_loom)))]
#[inline]
pub(super) fn swap(slot: &AtomicU64, new: u64) -> u64 {
    let seen: u64;
    // SAFETY: as in `compare_exchange`.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldaxr {seen}, [{slot}]",
            "stlxr {failed:w}, {new}, [{slot}]",
            "cbnz {failed:w}, 2b",
            slot = in(reg) slot.as_ptr(),
            new = in(reg) new,
            seen = out(reg) seen,
            failed = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    seen
}

#[cfg(any(not(target_arch = "aarch64"), kernel_arena_loom))]
#[inline]
pub(super) fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
    <Portable as Arch>::compare_exchange(slot, old, new)
}

#[cfg(any(not(target_arch = "aarch64"), kernel_arena_loom))]
#[inline]
pub(super) fn swap(slot: &AtomicU64, new: u64) -> u64 {
    <Portable as Arch>::swap(slot, new)
}
