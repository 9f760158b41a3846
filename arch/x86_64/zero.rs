//! Zeroing a page.
//!
//! `rep stosq` for the whole page: the microcode stores lines without reading them first (Intel SDM vol. 1, 7.3.9.3, "fast-string
//! operation"; Optimization Reference Manual, 3.7.6), as it does for `rep stosb` where ERMSB is reported, at the same pace; and
//! it is as good on processors without ERMSB, and takes an eighth of the iterations where there is no microcode, in an
//! emulator. No vector register is touched: a kernel may not have them.
//!
//! The stores of a fast string may be seen in any order among themselves, but not after a store that follows the instruction
//! (SDM vol. 3, 10.2.4), nor after the `lock cmpxchg` that installs the page. An interrupt in the midst goes on where it was.

use core::ptr::NonNull;

/// Fills a page with zeros.
///
/// # Safety
/// As for [`Arch::zero_page`](crate::arch::Arch::zero_page).
#[inline]
pub(super) unsafe fn zero_page(page: NonNull<u8>) {
    // SAFETY: 512 words from the page's first on, which are the caller's; the direction flag is clear, as in all of Rust.
    unsafe {
        core::arch::asm!(
            "rep stosq",
            inout("rcx") 512_u64 => _,
            inout("rdi") page.as_ptr() => _,
            in("rax") 0_u64,
            options(nostack, preserves_flags),
        );
    }
}
