//! Accesses of the kernel's to pages that user mode may reach, which the processor forbids it otherwise (SMAP, PAN).

use support::{probe_read_u64, probe_write_u64, without_interrupts};

/// Reads eight bytes as user mode would; nothing if the access was given up.
///
/// # Safety
/// As for [`probe_read_u64`].
pub(crate) unsafe fn read_as_user(address: u64) -> Option<u64> {
    // SAFETY: as the caller promises.
    let read = || unsafe { probe_read_u64(address) };
    let_through(read)
}

/// Writes eight bytes as user mode would; whether they were written.
///
/// # Safety
/// As for [`probe_write_u64`].
pub(crate) unsafe fn write_as_user(address: u64, value: u64) -> bool {
    // SAFETY: as the caller promises.
    let write = || unsafe { probe_write_u64(address, value) };
    let_through(write)
}

/// Does something while user mode's pages are let through. An exception in the midst of it leaves that as it is.
fn let_through<T>(access: impl FnOnce() -> T) -> T {
    // Masked, so that what interrupts it is not let through.
    without_interrupts(|| {
        open();
        let result = access();
        close();
        result
    })
}

#[cfg(target_arch = "x86_64")]
mod switch {
    use core::arch::asm;

    /// CR4.SMAP (Intel SDM vol. 3, 2.5): without it STAC and CLAC are no instructions.
    fn has_smap() -> bool {
        let cr4: u64;
        // SAFETY: reading CR4 has no effect.
        unsafe { asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags)) };
        cr4 >> 21 & 1 != 0
    }

    /// Sets EFLAGS.AC.
    pub(super) fn open() {
        if has_smap() {
            // SAFETY: it allows accesses, and forbids none.
            unsafe { asm!("stac", options(nostack)) };
        }
    }

    pub(super) fn close() {
        if has_smap() {
            // SAFETY: nothing that the kernel uses is mapped for user mode.
            unsafe { asm!("clac", options(nostack)) };
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod switch {
    use core::arch::asm;

    /// ID_AA64MMFR1_EL1.PAN.
    fn has_pan() -> bool {
        let features: u64;
        // SAFETY: reading it has no effect.
        unsafe { asm!("mrs {}, id_aa64mmfr1_el1", out(reg) features, options(nomem, nostack, preserves_flags)) };
        features >> 20 & 0xf != 0
    }

    /// `msr pan, #0`, spelt as the target's assembler knows it without the extension.
    pub(super) fn open() {
        if has_pan() {
            // SAFETY: it allows accesses, and forbids none.
            unsafe { asm!(".inst 0xd500409f", options(nostack)) };
        }
    }

    /// `msr pan, #1`.
    pub(super) fn close() {
        if has_pan() {
            // SAFETY: nothing that the kernel uses is mapped for EL0.
            unsafe { asm!(".inst 0xd500419f", options(nostack)) };
        }
    }
}

use switch::{close, open};
