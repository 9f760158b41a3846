//! What about a CPU keeps an arena from working on it.

use core::fmt;

use super::WalkEnd;
use crate::addr::VirtAddr;
use crate::layout::AddressWidth;

/// What about a CPU's set-up keeps the arena from working on it.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsupportedCpu {
    /// The page-table format is not this processor's: use `Native`.
    OtherArchitecture,
    /// x86_64: EFER.NXE is off, so that the no-execute bit of a leaf would be reserved: turn it on.
    NoExecuteDisabled,
    /// x86_64: CR0.WP is off, so that the kernel would write through read-only entries: turn it on.
    WriteProtectDisabled,
    /// x86_64: window and guards do not lie in what this CPU translates: choose another base, or enable wider addresses.
    AddressWidth {
        /// What this CPU translates.
        machine: AddressWidth,
    },
    /// aarch64: SCTLR_EL1.M is clear, so that nothing is translated yet: load the tables and set it first.
    TranslationDisabled,
    /// aarch64: SCTLR_EL1.C is clear, so that no memory is cacheable and atomic accesses are not sure to be atomic: set it.
    CachesDisabled,
    /// aarch64: window and guards do not lie in the 64 - T0SZ bits of the lower half: choose a base below, or a smaller T0SZ.
    LowerHalf {
        /// TCR_EL1.T0SZ.
        t0sz: u8,
    },
    /// aarch64: window and guards do not lie in the 64 - T1SZ bits of the upper half: choose a base above, or a smaller T1SZ.
    UpperHalf {
        /// TCR_EL1.T1SZ.
        t1sz: u8,
    },
    /// aarch64: TCR_EL1.T0SZ, or T1SZ for the upper half, is below 16, which needs TCR_EL1.DS and other descriptors: set 16
    /// or more.
    HalfTooWide {
        /// The value of the field.
        txsz: u8,
    },
    /// aarch64: TCR_EL1.EPD0 (EPD1 for the upper half) is set, so that the half of the window is not walked: clear it.
    WalksDisabled,
    /// aarch64: TCR_EL1.HPD0 or HPD1 is set, so that the kernel view's protection of its upper entry is ignored: clear it.
    HierarchicalPermissionsDisabled,
    /// aarch64: TCR_EL1.DS is set, which gives descriptor bits 9:8 and 49:48 other meanings: clear it.
    LargeAddressDescriptors,
    /// aarch64: TCR2_EL1.PIE is set, so that permissions are looked up indirectly: clear it.
    IndirectPermissions,
    /// aarch64: TCR2_EL1.D128 is set, so that descriptors have 128 bits: clear it.
    WideDescriptors,
    /// aarch64: the translation granule is not 4 KiB: set TCR_EL1.TG0 and TG1.
    Granule,
    /// aarch64: table walks are not shareable write-back (outer will do, too): set TCR_EL1.SH, IRGN and ORGN.
    WalkAttributes,
    /// aarch64: the kernel runs at EL2 without HCR_EL2.E2H and TGE: set both, or run at EL1.
    HypervisorMode,
    /// aarch64: the kernel runs at EL3, whose tables have another format of attributes and one half: run at EL1, or at EL2
    /// with HCR_EL2.E2H and TGE.
    SecureMonitor,
    /// The tables that this CPU has loaded do not lead to the lent entry that translates this address, so that an access would
    /// be a fault that no arena recovers: link the tables above below the root that is loaded (CR3; TTBR0_EL1 or TTBR1_EL1),
    /// and the guard's, too. [`Window`](crate::kit::Window) does it.
    Unreachable {
        /// The address that was asked for.
        address: VirtAddr,
        /// Where the walk ended instead.
        end: WalkEnd,
    },
    /// The attribute bits of the physical map do not make ordinary memory here.
    MemoryType(MemoryTypeError),
}

impl fmt::Display for UnsupportedCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::OtherArchitecture => "the page-table format is not this processor's: use Native",
            Self::NoExecuteDisabled => "EFER.NXE is off: turn it on",
            Self::TranslationDisabled => "SCTLR_EL1.M is clear: load the tables and set it first",
            Self::CachesDisabled => "SCTLR_EL1.C is clear: set it",
            Self::WriteProtectDisabled => "CR0.WP is off: turn it on",
            Self::AddressWidth { machine } => {
                let bits = machine.bits();
                return write!(
                    f,
                    "the window or a guard is not in the {bits} bits this CPU translates: choose another base"
                );
            }
            Self::LowerHalf { t0sz } => {
                return write!(
                    f,
                    "T0SZ is {t0sz}: the window or a guard is above what the lower half translates: choose a lower base"
                );
            }
            Self::UpperHalf { t1sz } => {
                return write!(
                    f,
                    "T1SZ is {t1sz}: the window or a guard is below what the upper half translates: choose a higher base"
                );
            }
            Self::HalfTooWide { txsz } => return write!(f, "T0SZ or T1SZ is {txsz}: set 16 or more"),
            Self::WalksDisabled => "TCR_EL1.EPD0 or EPD1 is set in the window's half: clear it",
            Self::HierarchicalPermissionsDisabled => "TCR_EL1.HPD0 or HPD1 is set: clear both",
            Self::LargeAddressDescriptors => "TCR_EL1.DS is set: clear it",
            Self::IndirectPermissions => "TCR2_EL1.PIE is set: clear it",
            Self::WideDescriptors => "TCR2_EL1.D128 is set: clear it",
            Self::Granule => "the translation granule is not 4 KiB: set TCR_EL1.TG0 and TG1",
            Self::WalkAttributes => {
                "table walks are not write-back, and shareable among CPUs: set TCR_EL1.SH, IRGN and ORGN"
            }
            Self::HypervisorMode => "the kernel runs at EL2 without HCR_EL2.E2H and TGE: set both",
            Self::Unreachable { address, end } => {
                return write!(
                    f,
                    "the loaded tables do not lead to the lent entry for {address:?}, link it: the walk ends {end}"
                );
            }
            Self::MemoryType(error) => return error.fmt(f),
            Self::SecureMonitor => "the kernel runs at EL3: run at EL1, or at EL2 with HCR_EL2.E2H and TGE",
        };
        f.write_str(text)
    }
}

impl core::error::Error for UnsupportedCpu {}

/// Why the attribute bits that a physical map asks for do not make the memory that an arena needs.
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryTypeError {
    /// aarch64: AttrIndx names a byte of MAIR_EL1 that is Device memory, where unaligned and atomic accesses fault on a real
    /// processor: take [`normal_memory`](crate::arch::aarch64::normal_memory).
    Device {
        /// AttrIndx.
        index: u8,
        /// What MAIR_EL1 has there.
        mair: u8,
    },
    /// The memory is not write-back cacheable, so that atomic accesses are not sure to be atomic (aarch64: MAIR_EL1;
    /// x86_64: IA32_PAT).
    NotWriteBack {
        /// The number of the type: AttrIndx on aarch64; PAT, PCD, PWT as a number on x86_64.
        index: u8,
        /// What the register has there.
        value: u8,
    },
    /// aarch64: the memory is not shareable, so that CPUs do not see each other's writes: set SH to 0b11. A layout for one
    /// CPU may have it so, if the physical map has.
    NotShareable,
    /// aarch64: the physical map itself maps memory with another type or shareability (PAR_EL1): name the attributes that it
    /// really has.
    NotTheMaps {
        /// The memory type that the physical map has, as MAIR_EL1 encodes it.
        mair: u8,
        /// Its SH.
        shareability: u8,
    },
    /// aarch64: the physical map does not map a frame that the frame source gave.
    NotMapped,
}

impl fmt::Display for MemoryTypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { index, mair } => {
                write!(f, "AttrIndx {index} is device memory, take normal_memory(): MAIR_EL1 has {mair:#04x} there")
            }
            Self::NotWriteBack { index, value } => {
                write!(f, "memory type {index} is not write-back, take one that is: it is {value:#04x}")
            }
            Self::NotShareable => f.write_str("memory is not shareable among CPUs: set SH to 0b11"),
            Self::NotTheMaps { mair, shareability } => {
                write!(
                    f,
                    "the physical map itself has memory of type {mair:#04x} and SH {shareability:#b}: map RAM as write-back, \
                     and give the attributes the same SH"
                )
            }
            Self::NotMapped => f.write_str(
                "the physical map does not map a frame of the frame source: map all of them, or give only what is mapped",
            ),
        }
    }
}

impl core::error::Error for MemoryTypeError {}
