//! Zeroing a page.
//!
//! `dc zva` zeroes a block, 64 bytes on most processors, without reading it first. Its size is in DCZID_EL0.BS, and the bit DZP
//! there says that it is prohibited, as where a hypervisor traps it (HCR_EL2.TDZ): then pairs of zero registers are stored
//! (Arm ARM D24.2.38, C6.2). No vector register is touched: a kernel may not have them.
//!
//! On Device memory `dc zva` is an alignment fault; but frames are where the physical map has them, and creation checks that it
//! has Normal memory there. It is a store to each byte of its block as far as ordering goes (B2.3), so the release of the
//! exchange that installs the page, and the `dsb ishst` after it, come after it as after any store. An interrupt between
//! blocks goes on where it was.

use core::ptr::NonNull;

/// Fills a page with zeros.
///
/// # Safety
/// As for [`Arch::zero_page`](crate::arch::Arch::zero_page).
#[inline]
pub(super) unsafe fn zero_page(page: NonNull<u8>) {
    // A block has 4 << BS bytes, and each turn takes eight of up to 512 bytes, which divide the page. Larger ones, of which no
    // processor is known, are left alone as what is prohibited.
    // SAFETY: 4096 bytes from the page's first on, which are the caller's, whatever the size of a block: pages are aligned.
    unsafe {
        core::arch::asm!(
            "mrs {shift}, dczid_el0",
            "add {end}, {at}, #4096",
            "cmp {shift}, #7",
            "mov {block}, #4",
            "b.hi 3f",
            "lsl {block}, {block}, {shift}",
            "2:",
            ".rept 8",
            "dc zva, {at}",
            "add {at}, {at}, {block}",
            ".endr",
            "cmp {at}, {end}",
            "b.lo 2b",
            "b 4f",
            "3:",
            "stp xzr, xzr, [{at}]",
            "stp xzr, xzr, [{at}, #16]",
            "stp xzr, xzr, [{at}, #32]",
            "stp xzr, xzr, [{at}, #48]",
            "add {at}, {at}, #64",
            "cmp {at}, {end}",
            "b.lo 3b",
            "4:",
            at = inout(reg) page.as_ptr() => _,
            end = out(reg) _,
            block = out(reg) _,
            shift = out(reg) _,
            options(nostack),
        );
    }
}
