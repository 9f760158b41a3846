//! Decoding of a data abort.

use crate::addr::KernelAddr;
use crate::fault::{Access, Fault, InstructionAddr};

/// ESR_EL1.EC of a data abort taken without a change of exception level (Arm ARM D24.2.45).
const EC_DATA_ABORT_SAME_LEVEL: u64 = 0x25;
/// ESR_ELx.ISS.DFSC of translation faults at levels 2 and 3. Above, the lent entries are always present: a fault at level 0 or
/// 1 means another root, or an address with a tag that is not ignored.
const DFSC_TRANSLATION_LEVEL_2: u64 = 0b00_0110;
/// ISS.WnR: the access was a write.
const ISS_WRITE: u64 = 1 << 6;
/// ISS.CM: the fault came from a cache maintenance or address translation instruction.
const ISS_CACHE_MAINTENANCE: u64 = 1 << 8;
/// ISS.FnV: FAR holds no address.
const ISS_FAR_NOT_VALID: u64 = 1 << 10;

/// Whether an exception is one that an arena may recover, and if so, which access it was: a data access from the kernel's own
/// exception level to a page that no descriptor translates. Anything else gives `None`.
///
/// `esr` and `far` are the syndrome and the faulting address, `elr` the interrupted instruction. A tag in bits 63:56 of `far`
/// (top-byte-ignore, FEAT_MTE) is replaced by bit 55's, which selects the half of the address space (Arm ARM D8.2.1).
///
/// ```
/// use kernel_arena::{Access, arch::aarch64::decode_fault};
/// let fault = decode_fault(0x9600_0047, 0xffff_ff80_0000_1234, 0x4020_0000).unwrap();
/// assert_eq!(fault.access, Access::Write);
/// assert!(decode_fault(0x9600_000f, 0xffff_ff80_0000_1234, 0).is_none()); // a permission fault is not a missing page
/// ```
pub const fn decode_fault(esr: u64, far: u64, elr: u64) -> Option<Fault> {
    let class = esr >> 26 & 0x3f;
    let status = esr & 0x3f;
    let translation = status & !1 == DFSC_TRANSLATION_LEVEL_2;
    if class != EC_DATA_ABORT_SAME_LEVEL || !translation || esr & (ISS_FAR_NOT_VALID | ISS_CACHE_MAINTENANCE) != 0 {
        return None;
    }
    let access = if esr & ISS_WRITE != 0 { Access::Write } else { Access::Read };
    Some(Fault { address: KernelAddr::new(strip_tag(far)), access, instruction: InstructionAddr::new(elr) })
}

/// Puts bit 55 in place of bits 63:56.
const fn strip_tag(address: u64) -> u64 {
    const TAG: u64 = 0xff << 56;
    if address & 1 << 55 != 0 { address | TAG } else { address & !TAG }
}

/// The exception that this CPU took last, by ESR_EL1, FAR_EL1 and ELR_EL1 (at EL2 with HCR_EL2.E2H the same names reach the
/// registers of EL2), decoded. A handler asks before anything of its own can raise another.
#[cfg(all(target_arch = "aarch64", not(any(unix, windows))))]
pub fn last_fault() -> Option<Fault> {
    use aarch64_cpu::registers::{ELR_EL1, ESR_EL1, FAR_EL1, Readable};
    decode_fault(ESR_EL1.get(), FAR_EL1.get(), ELR_EL1.get())
}

/// None: a process has no such registers.
#[cfg(any(not(target_arch = "aarch64"), unix, windows))]
pub fn last_fault() -> Option<Fault> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: u64 = 0xffff_ff80_0000_1234;

    #[test]
    fn translation_faults_below_the_lent_entries_are_decoded() {
        for level in 2..4 {
            let read = decode_fault(0x9600_0004 | level, FAR, 0x99).unwrap();
            assert_eq!((read.address, read.access), (KernelAddr::new(FAR), Access::Read));
            assert_eq!(read.instruction, InstructionAddr::new(0x99));
            assert_eq!(decode_fault(0x9600_0044 | level, FAR, 0).unwrap().access, Access::Write);
        }
    }

    #[test]
    fn everything_else_is_not() {
        for status in (0..64).filter(|status| !(6..8).contains(status)) {
            assert_eq!(decode_fault(0x9600_0000 | status, FAR, 0), None, "DFSC {status:#x}");
        }
        for class in (0..64).filter(|class| *class != 0x25) {
            assert_eq!(decode_fault(class << 26 | 7, FAR, 0), None, "EC {class:#x}");
        }
        assert_eq!(decode_fault(0x9600_0407, FAR, 0), None, "FnV");
        assert_eq!(decode_fault(0x9600_0147, FAR, 0), None, "CM");
    }

    #[test]
    fn tag_bits_are_stripped() {
        let tagged = FAR & !(0xff << 56) | 0xa5 << 56;
        assert_eq!(decode_fault(0x9600_0007, tagged, 0).unwrap().address, KernelAddr::new(FAR));
        let low = 0x5a00_0000_0000_1234;
        assert_eq!(decode_fault(0x9600_0007, low, 0).unwrap().address, KernelAddr::new(0x1234));
    }
}
