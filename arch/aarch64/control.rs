//! The translation registers that the format depends on.

use crate::addr::VirtAddr;
use crate::arch::{Root, UnsupportedCpu};
use crate::layout::{AddressWidth, ArenaLayout};
use crate::platform::CpuCount;

/// TCR_EL1 (Arm ARM D24.2.185).
mod tcr {
    pub(super) const T0SZ_SHIFT: u32 = 0;
    pub(super) const T1SZ_SHIFT: u32 = 16;
    pub(super) const TXSZ_MASK: u64 = 0x3f;
    /// Below, a walk has one more level, or entries are those of DS (D24.2.185, T0SZ).
    pub(super) const LEAST_TXSZ: u8 = 16;
    /// EPD0; EPD1 lies 16 bits higher.
    pub(super) const EPD0: u64 = 1 << 7;
    /// IRGN0, ORGN0, SH0 and TG0; those of TTBR1 lie 16 bits higher.
    pub(super) const IRGN0_SHIFT: u32 = 8;
    pub(super) const ORGN0_SHIFT: u32 = 10;
    pub(super) const SH0_SHIFT: u32 = 12;
    pub(super) const TG0_SHIFT: u32 = 14;
    pub(super) const UPPER_HALF_SHIFT: u32 = 16;
    /// Of SH, set for inner (0b11) and outer (0b10) shareable.
    pub(super) const SHAREABLE: u64 = 0b10;
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

/// SCTLR_EL1.M and C: the MMU, and the data caches. With C clear all memory counts as non-cacheable, whatever MAIR_EL1 says.
const SCTLR_M: u64 = 1 << 0;
const SCTLR_C: u64 = 1 << 2;

/// HCR_EL2.E2H and TGE (D24.2.53).
const HCR_E2H_TGE: u64 = 1 << 34 | 1 << 27;

/// What a CPU's system registers say about translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// SCTLR_EL1 (at EL2 with E2H the same name reaches SCTLR_EL2, as for those below).
    pub sctlr: u64,
    /// TCR_EL1.
    pub tcr: u64,
    /// TCR2_EL1; 0 where the CPU has none, or none of the settings that matter.
    pub tcr2: u64,
    /// The exception level, 1 to 3.
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
        if self.exception_level == 3 {
            return Err(UnsupportedCpu::SecureMonitor);
        }
        if self.exception_level == 2 && self.hcr & HCR_E2H_TGE != HCR_E2H_TGE {
            return Err(UnsupportedCpu::HypervisorMode);
        }
        if self.sctlr & SCTLR_M == 0 {
            return Err(UnsupportedCpu::TranslationDisabled);
        }
        if self.sctlr & SCTLR_C == 0 {
            return Err(UnsupportedCpu::CachesDisabled);
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
        let upper = is_upper(layout.base().value());
        let (half, granule) =
            if upper { (self.tcr >> tcr::UPPER_HALF_SHIFT, tcr::TG1_4K) } else { (self.tcr, tcr::TG0_4K) };
        if half & tcr::EPD0 != 0 {
            return Err(UnsupportedCpu::WalksDisabled);
        }
        if half >> tcr::TG0_SHIFT & 0b11 != granule {
            return Err(UnsupportedCpu::Granule);
        }
        // Write-back is 0b01 (with write-allocate) or 0b11 (without).
        let write_back = |shift: u32| half >> shift & 1 != 0;
        // The outer domain has the inner one in it. With one CPU there is nobody to share with.
        let shareable = half >> tcr::SH0_SHIFT & tcr::SHAREABLE != 0 || layout.cpus() == CpuCount::ONE;
        if !shareable || !write_back(tcr::IRGN0_SHIFT) || !write_back(tcr::ORGN0_SHIFT) {
            return Err(UnsupportedCpu::WalkAttributes);
        }
        let txsz = (half >> tcr::T0SZ_SHIFT & tcr::TXSZ_MASK) as u8;
        if txsz < tcr::LEAST_TXSZ {
            return Err(UnsupportedCpu::HalfTooWide { txsz });
        }
        match AddressWidth::of_halves(64 - u32::from(txsz)) {
            Some(width) if layout.fits(width) => Ok(()),
            _ if upper => Err(UnsupportedCpu::UpperHalf { t1sz: txsz }),
            _ => Err(UnsupportedCpu::LowerHalf { t0sz: txsz }),
        }
    }

    /// Where a walk for `address` begins, by these registers and `ttbrs`, TTBR0_EL1 and TTBR1_EL1: bits 47:1 of the one
    /// whose half the address is in (an ASID lies above, CnP below).
    pub fn root(self, ttbrs: [u64; 2], address: VirtAddr) -> Option<Root> {
        let upper = is_upper(address.value());
        let shift = if upper { tcr::T1SZ_SHIFT } else { tcr::T0SZ_SHIFT };
        let size = (self.tcr >> shift & tcr::TXSZ_MASK) as u32;
        Root::new(ttbrs[usize::from(upper)] & 0x0000_ffff_ffff_fffe, 64 - size)
    }
}

/// Whether TTBR1_EL1 translates an address: bit 55 selects it (D8.2.1).
const fn is_upper(address: u64) -> bool {
    address >> 55 & 1 != 0
}

/// The table that TTBR0_EL1 or TTBR1_EL1 names for `address`.
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
pub(super) fn loaded_root(address: VirtAddr) -> Option<Root> {
    use aarch64_cpu::registers::{Readable, TTBR0_EL1, TTBR1_EL1};
    read().root([TTBR0_EL1.get(), TTBR1_EL1.get()], address)
}

/// A process knows of no table.
#[cfg(any(not(target_arch = "aarch64"), unix, windows))]
pub(super) fn loaded_root(_address: VirtAddr) -> Option<Root> {
    None
}

/// Reads and checks this CPU's registers.
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
pub(super) fn check_this_cpu(layout: &ArenaLayout) -> Result<(), UnsupportedCpu> {
    read().check(layout)
}

#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
fn read() -> Control {
    use aarch64_cpu::registers::{CurrentEL, HCR_EL2, Readable, SCTLR_EL1, TCR_EL1};
    let exception_level = CurrentEL.read(CurrentEL::EL);
    Control {
        sctlr: SCTLR_EL1.get(),
        tcr: TCR_EL1.get(),
        tcr2: read_tcr2(),
        exception_level,
        hcr: if exception_level == 2 { HCR_EL2.get() } else { 0 },
    }
}

/// Whether, by ID_AA64MMFR3_EL1, TCR2_EL1 exists (TCRX) and can have a setting that `Control` asks for (S1PIE, D128). Only then
/// is it read: where EL2 or EL3 did not open it to EL1 (HCRX_EL2.TCR2En, SCR_EL3.TCR2En), the read is a trap.
#[cfg(any(test, all(target_arch = "aarch64", not(any(unix, windows)))))]
const fn tcr2_matters(mmfr3: u64) -> bool {
    const TCRX: u64 = 0xf;
    const S1PIE: u64 = 0xf << 8;
    const D128: u64 = 0xf << 32;
    mmfr3 & TCRX != 0 && mmfr3 & (S1PIE | D128) != 0
}

/// TCR2_EL1, or 0 where ID_AA64MMFR3_EL1 says that nothing in it matters.
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
fn read_tcr2() -> u64 {
    let features: u64;
    // SAFETY: reads ID_AA64MMFR3_EL1, spelt by its encoding for old assemblers; identification registers that are not
    // implemented read as zero.
    unsafe { core::arch::asm!("mrs {}, S3_0_C0_C7_3", out(reg) features, options(nomem, nostack, preserves_flags)) };
    if !tcr2_matters(features) {
        return 0;
    }
    let tcr2: u64;
    // SAFETY: TCR2_EL1 exists; reading it has no effect.
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
    const GOOD: Control = Control { sctlr: 0b101, tcr: TCR, tcr2: 0, exception_level: 1, hcr: 0 };

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
        assert_eq!(Control { sctlr: 0b100, ..GOOD }.check(&upper), Err(TranslationDisabled));
        assert_eq!(Control { sctlr: 0b001, ..GOOD }.check(&upper), Err(CachesDisabled));
        let with_tcr = |tcr| Control { tcr, ..GOOD };
        assert_eq!(with_tcr(TCR | 1 << 41).check(&upper), Err(HierarchicalPermissionsDisabled));
        assert_eq!(with_tcr(TCR | 1 << 42).check(&upper), Err(HierarchicalPermissionsDisabled));
        assert_eq!(with_tcr(TCR | 1 << 59).check(&upper), Err(LargeAddressDescriptors));
        assert_eq!(Control { tcr2: 1 << 1, ..GOOD }.check(&upper), Err(IndirectPermissions));
        assert_eq!(Control { tcr2: 1 << 5, ..GOOD }.check(&upper), Err(WideDescriptors));
        assert_eq!(with_tcr(TCR ^ 0b11 << 30).check(&upper), Err(Granule));
        assert_eq!(with_tcr(TCR ^ 0b11 << 30).check(&lower), Ok(()));
        assert_eq!(with_tcr(TCR ^ 0b01 << 14).check(&lower), Err(Granule));
        for shift in [24, 26] {
            assert_eq!(with_tcr(TCR ^ 1 << shift).check(&upper), Err(WalkAttributes), "bit {shift}");
        }
        let unshared = with_tcr(TCR & !(0b11 << 28));
        assert_eq!(unshared.check(&upper), Ok(()), "one CPU");
        let two = upper.with_cpus(CpuCount::new(2).unwrap());
        assert_eq!((unshared.check(&two), GOOD.check(&two)), (Err(WalkAttributes), Ok(())), "two CPUs");
        assert_eq!(with_tcr(TCR ^ 1 << 28).check(&upper), Ok(()), "outer shareable");
        assert_eq!(with_tcr(TCR | 1 << 7).check(&lower), Err(WalksDisabled));
        assert_eq!(with_tcr(TCR | 1 << 7).check(&upper), Ok(()), "only the half of the window matters");
        assert_eq!(with_tcr(TCR | 1 << 23).check(&upper), Err(WalksDisabled));
        assert_eq!(with_tcr(TCR ^ (25 ^ 12) << 16).check(&upper), Err(HalfTooWide { txsz: 12 }));
        assert_eq!(Control { exception_level: 3, ..GOOD }.check(&upper), Err(SecureMonitor));
        let el2 = Control { exception_level: 2, ..GOOD };
        assert_eq!(el2.check(&upper), Err(HypervisorMode));
        assert_eq!(Control { hcr: HCR_E2H_TGE, ..el2 }.check(&upper), Ok(()));
    }

    #[test]
    fn a_register_that_may_trap_is_read_only_where_it_can_have_a_setting_of_interest() {
        assert!(!tcr2_matters(0) && !tcr2_matters(0x11), "there is none, or it has neither");
        assert!(tcr2_matters(0x101) && tcr2_matters(1 << 32 | 1));
        assert!(!tcr2_matters(0x100), "no such register");
    }

    #[test]
    fn a_base_beyond_the_translated_bits_is_refused() {
        let far = layout(0xffff_9000_0000_0000);
        let narrow = UnsupportedCpu::UpperHalf { t1sz: 25 };
        assert_eq!(GOOD.check(&far), Err(narrow));
        assert!(narrow.to_string().contains("T1SZ is 25"), "{narrow}");
        // The lowest base whose lower guard 39 translated bits reach, in the upper half.
        assert_eq!(GOOD.check(&layout(0xffff_ff81_0000_0000)), Ok(()));
        assert_eq!(GOOD.check(&layout(0xffff_ff80_0000_0000)), Err(narrow), "the lower guard is beyond");
        let low = Err(UnsupportedCpu::LowerHalf { t0sz: 25 });
        assert_eq!(GOOD.check(&layout(0x0000_0080_0000_0000)), low);
        assert_eq!(GOOD.check(&layout(0x0000_007f_0000_0000)), low, "the upper guard is beyond");
        assert_eq!(GOOD.check(&layout(0x0000_007e_0000_0000)), Ok(()));
    }

    #[test]
    fn the_root_is_that_of_the_address_half() {
        let ttbrs = [0x0042_0000_4020_1001, 0x0000_0000_4030_2000];
        let root = |tcr, address| Control { tcr, ..GOOD }.root(ttbrs, VirtAddr::new(address));
        assert_eq!(root(TCR, 0xffff_ff90_0000_0000), Root::new(0x4030_2000, 39));
        assert_eq!(root(TCR, 0x0000_0010_0000_0000), Root::new(0x4020_1000, 39), "without ASID and CnP");
        assert_eq!(root(TCR ^ 25 ^ 16, 0), Root::new(0x4020_1000, 48));
    }
}
