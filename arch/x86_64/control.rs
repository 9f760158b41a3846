//! The control registers that the format depends on.

use crate::arch::{Root, UnsupportedCpu};
use crate::layout::{AddressWidth, ArenaLayout};

/// What a CPU's control registers say about paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// EFER.NXE: the no-execute bit exists (Intel SDM vol. 3, 5.1.3).
    pub no_execute: bool,
    /// CR0.WP: the kernel, too, obeys read-only entries (5.1.3).
    pub write_protect: bool,
    /// CR4.LA57: 57 bits are translated, else 48 (5.1.1).
    pub five_level: bool,
}

impl Control {
    /// Checks them for an arena with this layout.
    ///
    /// # Errors
    /// [`UnsupportedCpu`] names the first setting that does not do.
    pub fn check(self, layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        if !self.no_execute {
            return Err(UnsupportedCpu::NoExecuteDisabled);
        }
        if !self.write_protect {
            return Err(UnsupportedCpu::WriteProtectDisabled);
        }
        let machine = if self.five_level { AddressWidth::BITS_57 } else { AddressWidth::BITS_48 };
        if !layout.fits(machine) {
            return Err(UnsupportedCpu::AddressWidth { machine });
        }
        Ok(())
    }
}

/// Reads and checks this CPU's registers.
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
pub(super) fn check_this_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
    use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
    Control {
        no_execute: Efer::read().contains(EferFlags::NO_EXECUTE_ENABLE),
        write_protect: Cr0::read().contains(Cr0Flags::WRITE_PROTECT),
        five_level: Cr4::read().contains(Cr4Flags::L5_PAGING),
    }
    .check(layout)
}

/// The table that CR3 names. Its bits 51:12, read as a number: the low ones are a PCID or cache bits, 62 and 61 have to do with
/// address masking (LAM), and an encryption bit is among the others, for the physical map to take away.
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
pub(super) fn loaded_root() -> Option<Root> {
    use x86_64::registers::control::{Cr4, Cr4Flags};
    let bits = if Cr4::read().contains(Cr4Flags::L5_PAGING) { 57 } else { 48 };
    let cr3: u64;
    // SAFETY: reading CR3 has no effect.
    unsafe { core::arch::asm!("mov {}, cr3", out(reg) cr3, options(nomem, nostack, preserves_flags)) };
    Root::new(cr3 & 0x000f_ffff_ffff_f000, bits)
}

/// A process knows of no table.
#[cfg(any(not(target_arch = "x86_64"), unix, windows))]
pub(super) fn loaded_root() -> Option<Root> {
    None
}

/// In a process nothing is walked, so every format will do; on a bare machine only the processor's own.
#[cfg(any(not(target_arch = "x86_64"), unix, windows))]
pub(super) fn check_this_cpu(_layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
    if cfg!(any(unix, windows)) { Ok(()) } else { Err(UnsupportedCpu::OtherArchitecture) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KernelAddr, PageCount, PageIndex};

    const GOOD: Control = Control { no_execute: true, write_protect: true, five_level: false };

    fn layout(base: u64, width: AddressWidth) -> ArenaLayout {
        let one = PageIndex::new(1).unwrap();
        ArenaLayout::new(KernelAddr::new(base), width, one, PageCount::ONE).unwrap()
    }

    #[test]
    fn each_setting_is_refused_by_name() {
        let upper_half = layout(0xffff_9000_0000_0000, AddressWidth::BITS_48);
        assert_eq!(GOOD.check(&upper_half), Ok(()));
        let nx = Control { no_execute: false, ..GOOD };
        assert_eq!(nx.check(&upper_half), Err(UnsupportedCpu::NoExecuteDisabled));
        let wp = Control { write_protect: false, ..GOOD };
        assert_eq!(wp.check(&upper_half), Err(UnsupportedCpu::WriteProtectDisabled));
        let wide = layout(0xff80_0000_0000_0000, AddressWidth::BITS_57);
        let narrow = UnsupportedCpu::AddressWidth { machine: AddressWidth::BITS_48 };
        assert_eq!(GOOD.check(&wide), Err(narrow));
        assert_eq!(Control { five_level: true, ..GOOD }.check(&wide), Ok(()));
    }
}
