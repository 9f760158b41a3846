//! Fetching a cache line ahead: `prefetchw` (Intel SDM vol. 2B; AMD64 APM vol. 3), which gets the line for a store. It never
//! faults, whatever the address, and is a NOP where the processor does not know it.

/// Has the processor fetch the line of an address that is about to be written.
#[inline]
pub(crate) fn prefetch_for_writing(at: *const u8) {
    // SAFETY: a hint, which changes neither memory nor registers, and does not fault.
    unsafe { core::arch::asm!("prefetchw [{}]", in(reg) at, options(readonly, nostack, preserves_flags)) };
}
