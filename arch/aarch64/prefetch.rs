//! Fetching a cache line ahead: `prfm pstl1keep` (Arm ARM C6.2, "PRFM (immediate)"), which gets the line for a store. It never
//! faults, whatever the address.

/// Has the processor fetch the line of an address that is about to be written.
#[inline]
pub(crate) fn prefetch_for_writing(at: *const u8) {
    // SAFETY: a hint, which changes neither memory nor registers, and does not fault.
    unsafe { core::arch::asm!("prfm pstl1keep, [{}]", in(reg) at, options(readonly, nostack, preserves_flags)) };
}
