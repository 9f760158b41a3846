//! Atomic steps on a slot, in inline assembly.
//!
//! A slot is memory that the processor's walker reads behind the compiler's back, so the exchange is spelt out: one
//! `lock cmpxchg`, which is atomic against walkers and other CPUs, is a full barrier (Intel SDM vol. 3, 10.2.3.9), and
//! cannot be torn by an NMI. On other processors, and under a model checker, the `sync` atomics do the same.

#[cfg(any(not(target_arch = "x86_64"), kernel_arena_loom))]
use crate::arch::{Arch, portable::Portable};
use crate::sync::AtomicU64;

#[cfg(all(target_arch = "x86_64", not(kernel_arena_loom)))]
#[inline]
pub(super) fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
    let seen: u64;
    // SAFETY: `slot` is a live, aligned 64-bit atomic; the instruction touches it alone, and `rax` and the flags, which
    // are declared.
    unsafe {
        core::arch::asm!(
            "lock cmpxchg qword ptr [{slot}], {new}",
            slot = in(reg) slot.as_ptr(),
            new = in(reg) new,
            inout("rax") old => seen,
            options(nostack),
        );
    }
    if seen == old { Ok(()) } else { Err(seen) }
}

#[cfg(all(target_arch = "x86_64", not(kernel_arena_loom)))]
#[inline]
pub(super) fn swap(slot: &AtomicU64, new: u64) -> u64 {
    let seen: u64;
    // SAFETY: `slot` is a live, aligned 64-bit atomic; `xchg` with memory locks implicitly and changes no flag.
    unsafe {
        core::arch::asm!(
            "xchg qword ptr [{slot}], {word}",
            slot = in(reg) slot.as_ptr(),
            word = inout(reg) new => seen,
            options(nostack, preserves_flags),
        );
    }
    seen
}

/// After a locked instruction, which is a full barrier itself (10.2.3.9), the compiler alone must keep the order: the asm
/// blocks above clobber memory, so it does.
#[cfg(all(target_arch = "x86_64", not(kernel_arena_loom)))]
#[inline]
pub(super) fn full_barrier() {}

#[cfg(any(not(target_arch = "x86_64"), kernel_arena_loom))]
#[inline]
pub(super) fn full_barrier() {
    <Portable as Arch>::full_barrier();
}

#[cfg(any(not(target_arch = "x86_64"), kernel_arena_loom))]
#[inline]
pub(super) fn compare_exchange(slot: &AtomicU64, old: u64, new: u64) -> Result<(), u64> {
    <Portable as Arch>::compare_exchange(slot, old, new)
}

#[cfg(any(not(target_arch = "x86_64"), kernel_arena_loom))]
#[inline]
pub(super) fn swap(slot: &AtomicU64, new: u64) -> u64 {
    <Portable as Arch>::swap(slot, new)
}
