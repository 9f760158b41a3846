//! The translation registers that the format depends on.

use crate::arch::UnsupportedCpu;
use crate::layout::{AddressWidth, ArenaLayout};

/// TCR_EL1 (Arm ARM D24.2.185).
mod tcr {
    pub(super) const T0SZ_SHIFT: u32 = 0;
    pub(super) const T1SZ_SHIFT: u32 = 16;
    pub(super) const TXSZ_MASK: u64 = 0x3f;
    /// IRGN0, ORGN0, SH0 and TG0; those of TTBR1 lie 16 bits higher.
    pub(super) const IRGN0_SHIFT: u32 = 8;
    pub(super) const ORGN0_SHIFT: u32 = 10;
    pub(super) const SH0_SHIFT: u32 = 12;
    pub(super) const TG0_SHIFT: u32 = 14;
    pub(super) const UPPER_HALF_SHIFT: u32 = 16;
    pub(super) const SH_INNER: u64 = 0b11;
    pub(super) const TG0_4K: u64 = 0b00;
    pub(super) const TG1_4K: u64 = 0b10;
    pub(super) const HPD0: u64 = 1 << 41;
    pub(super) const HPD1: u64 = 1 << 42;
    pub(super) const DS: u64 = 1 << 59;
}

/// TCR2_EL1 (D24.2.186).
mod tcr2 {
    pub(super) const PIE: u64 = 1 << 1;
    pub(super) const D128: u64 = 1 << 5;
}

/// HCR_EL2.E2H and TGE (D24.2.53).
const HCR_E2H_TGE: u64 = 1 << 34 | 1 << 27;

/// What a CPU's system registers say about translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// TCR_EL1 (at EL2 with E2H the same name reaches TCR_EL2).
    pub tcr: u64,
    /// TCR2_EL1; 0 where the CPU has none.
    pub tcr2: u64,
    /// The exception level, 1 or 2.
    pub exception_level: u64,
    /// HCR_EL2; read at EL2 only, else 0.
    pub hcr: u64,
}

impl Control {
    /// Checks them for an arena with this layout.
    ///
    /// # Errors
    /// [`UnsupportedCpu`] names the first setting that does not do.
    pub fn check(self, layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        if self.exception_level == 2 && self.hcr & HCR_E2H_TGE != HCR_E2H_TGE {
            return Err(UnsupportedCpu::HypervisorMode);
        }
        if self.tcr & (tcr::HPD0 | tcr::HPD1) != 0 {
            return Err(UnsupportedCpu::HierarchicalPermissionsDisabled);
        }
        if self.tcr & tcr::DS != 0 {
            return Err(UnsupportedCpu::LargeAddressDescriptors);
        }
        if self.tcr2 & tcr2::D128 != 0 {
            return Err(UnsupportedCpu::WideDescriptors);
        }
        if self.tcr2 & tcr2::PIE != 0 {
            return Err(UnsupportedCpu::IndirectPermissions);
        }
        self.check_half(layout)
    }

    /// The half of the address space that the base lies in has settings of its own.
    fn check_half(self, layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
        let base = layout.base().value();
        let (half, size_shift, granule) = if base >> 63 != 0 {
            (self.tcr >> tcr::UPPER_HALF_SHIFT, tcr::T1SZ_SHIFT, tcr::TG1_4K)
        } else {
            (self.tcr, tcr::T0SZ_SHIFT, tcr::TG0_4K)
        };
        if half >> tcr::TG0_SHIFT & 0b11 != granule {
            return Err(UnsupportedCpu::Granule);
        }
        // Write-back is 0b01 (with write-allocate) or 0b11 (without).
        let write_back = |shift: u32| half >> shift & 1 != 0;
        if half >> tcr::SH0_SHIFT & 0b11 != tcr::SH_INNER
            || !write_back(tcr::IRGN0_SHIFT)
            || !write_back(tcr::ORGN0_SHIFT)
        {
            return Err(UnsupportedCpu::WalkAttributes);
        }
        let size = (self.tcr >> size_shift & tcr::TXSZ_MASK) as u32;
        match AddressWidth::of_halves(64 - size) {
            Some(width) if layout.fits(width) => Ok(()),
            // A half too small for a window and its guards is too narrow for any base.
            machine => Err(UnsupportedCpu::AddressWidth { machine: machine.unwrap_or(AddressWidth::NARROWEST) }),
        }
    }
}

/// Reads and checks this CPU's registers.
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
pub(super) fn check_this_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
    use aarch64_cpu::registers::{CurrentEL, HCR_EL2, Readable, TCR_EL1};
    let exception_level = CurrentEL.read(CurrentEL::EL);
    Control {
        tcr: TCR_EL1.get(),
        tcr2: read_tcr2(),
        exception_level,
        hcr: if exception_level == 2 { HCR_EL2.get() } else { 0 },
    }
    .check(layout)
}

/// TCR2_EL1, or 0 where ID_AA64MMFR3_EL1.TCRX says that there is none.
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
fn read_tcr2() -> u64 {
    let features: u64;
    // SAFETY: reads ID_AA64MMFR3_EL1, spelt by its encoding for old assemblers; identification registers that are not
    // implemented read as zero.
    unsafe { core::arch::asm!("mrs {}, S3_0_C0_C7_3", out(reg) features, options(nomem, nostack, preserves_flags)) };
    if features & 0xf == 0 {
        return 0;
    }
    let tcr2: u64;
    // SAFETY: TCRX says that TCR2_EL1 exists; reading it has no effect.
    unsafe { core::arch::asm!("mrs {}, S3_0_C2_C0_3", out(reg) tcr2, options(nomem, nostack, preserves_flags)) };
    tcr2
}

/// In a process nothing is walked, so every format will do; on a bare machine only the processor's own.
#[cfg(any(not(target_arch = "aarch64"), unix, windows))]
pub(super) fn check_this_cpu(_layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
    if cfg!(any(unix, windows)) { Ok(()) } else { Err(UnsupportedCpu::OtherArchitecture) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KernelAddr, PageCount, PageIndex};

    /// 4 KiB granules, 39 bits in both halves, walks write-back inner-shareable.
    const TCR: u64 =
        25 | 0b01 << 8 | 0b01 << 10 | 0b11 << 12 | 25 << 16 | 0b01 << 24 | 0b01 << 26 | 0b11 << 28 | 0b10 << 30;
    const GOOD: Control = Control { tcr: TCR, tcr2: 0, exception_level: 1, hcr: 0 };

    fn layout(base: u64) -> ArenaLayout {
        let one = PageIndex::new(1).unwrap();
        ArenaLayout::new(KernelAddr::new(base), AddressWidth::BITS_48, one, PageCount::ONE).unwrap()
    }

    #[test]
    fn each_setting_is_refused_by_name() {
        use UnsupportedCpu::*;
        let upper = layout(0xffff_ff90_0000_0000);
        let lower = layout(0x0000_0010_0000_0000);
        assert_eq!(GOOD.check(&upper), Ok(()));
        assert_eq!(GOOD.check(&lower), Ok(()));
        let with_tcr = |tcr| Control { tcr, ..GOOD };
        assert_eq!(with_tcr(TCR | 1 << 41).check(&upper), Err(HierarchicalPermissionsDisabled));
        assert_eq!(with_tcr(TCR | 1 << 42).check(&upper), Err(HierarchicalPermissionsDisabled));
        assert_eq!(with_tcr(TCR | 1 << 59).check(&upper), Err(LargeAddressDescriptors));
        assert_eq!(Control { tcr2: 1 << 1, ..GOOD }.check(&upper), Err(IndirectPermissions));
        assert_eq!(Control { tcr2: 1 << 5, ..GOOD }.check(&upper), Err(WideDescriptors));
        assert_eq!(with_tcr(TCR ^ 0b11 << 30).check(&upper), Err(Granule));
        assert_eq!(with_tcr(TCR ^ 0b11 << 30).check(&lower), Ok(()));
        assert_eq!(with_tcr(TCR ^ 0b01 << 14).check(&lower), Err(Granule));
        for shift in [24, 26, 28] {
            assert_eq!(with_tcr(TCR ^ 1 << shift).check(&upper), Err(WalkAttributes), "bit {shift}");
        }
        let el2 = Control { exception_level: 2, ..GOOD };
        assert_eq!(el2.check(&upper), Err(HypervisorMode));
        assert_eq!(Control { hcr: HCR_E2H_TGE, ..el2 }.check(&upper), Ok(()));
    }

    #[test]
    fn a_base_beyond_the_translated_bits_is_refused() {
        let machine = AddressWidth::new(40).unwrap();
        let far = layout(0xffff_9000_0000_0000);
        assert_eq!(GOOD.check(&far), Err(UnsupportedCpu::AddressWidth { machine }));
        // The lowest base whose lower guard 39 translated bits reach, in the upper half.
        assert_eq!(GOOD.check(&layout(0xffff_ff81_0000_0000)), Ok(()));
        assert!(GOOD.check(&layout(0xffff_ff80_0000_0000)).is_err(), "the lower guard is beyond");
        assert!(GOOD.check(&layout(0x0000_0080_0000_0000)).is_err());
        assert!(GOOD.check(&layout(0x0000_007f_0000_0000)).is_err(), "the upper guard is beyond");
        assert_eq!(GOOD.check(&layout(0x0000_007e_0000_0000)), Ok(()));
    }
}
