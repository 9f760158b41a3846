//! Decoding of a data abort.

use crate::addr::{KernelAddr, ProgramAddr};
use crate::fault::program::{ProgramAccess, ProgramFault};
use crate::fault::{Access, Fault, InstructionAddr};

/// ESR_EL1.EC of a data abort taken without a change of exception level (Arm ARM D24.2.45).
const EC_DATA_ABORT_SAME_LEVEL: u64 = 0x25;
/// The same, and an instruction abort, taken from EL0.
const EC_DATA_ABORT_LOWER_LEVEL: u64 = 0x24;
const EC_INSTRUCTION_ABORT_LOWER_LEVEL: u64 = 0x20;
/// ISS.DFSC and ISS.IFSC of translation, access flag and permission faults, the level in the low two bits (FEAT_LPA2's level
/// -1 is not among them).
const FSC_TRANSLATION: u64 = 0b00_0100;
const FSC_PERMISSION: u64 = 0b00_1100;
const FSC_LEVEL: u64 = 0b11;
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
#[inline]
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

/// Whether an exception is an abort of EL0 that an arena's [`handle_program_fault`](crate::Arena::handle_program_fault) may be
/// asked about, and if so, which access it was: of data or a fetch, to a page that is missing (a translation fault) or that is
/// not the program's (a permission fault). Cache maintenance of a program's is such an access, too: a load, as it needs no
/// more.
///
/// ```
/// use kernel_arena::{arch::aarch64::decode_program_fault, views::ProgramAccess};
/// let fault = decode_program_fault(0x9200_0047, 0x70_0000_1234, 0x40_0000).unwrap();
/// assert_eq!(fault.access, ProgramAccess::Write);
/// assert!(decode_program_fault(0x9600_0047, 0x70_0000_1234, 0x40_0000).is_none()); // the kernel's own
/// ```
#[inline]
pub const fn decode_program_fault(esr: u64, far: u64, elr: u64) -> Option<ProgramFault> {
    let status = esr & 0x3f & !FSC_LEVEL;
    if (status != FSC_TRANSLATION && status != FSC_PERMISSION) || esr & ISS_FAR_NOT_VALID != 0 {
        return None;
    }
    // With CM, WnR is set whatever the instruction needs.
    let writes = esr & ISS_WRITE != 0 && esr & ISS_CACHE_MAINTENANCE == 0;
    let access = match esr >> 26 & 0x3f {
        EC_INSTRUCTION_ABORT_LOWER_LEVEL => ProgramAccess::Execute,
        EC_DATA_ABORT_LOWER_LEVEL if writes => ProgramAccess::Write,
        EC_DATA_ABORT_LOWER_LEVEL => ProgramAccess::Read,
        _ => return None,
    };
    Some(ProgramFault { address: ProgramAddr::new(strip_tag(far)), access, instruction: InstructionAddr::new(elr) })
}

/// Puts bit 55 in place of bits 63:56.
#[expect(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "shifted as a signed number, it is filled up with its sign"
)]
const fn strip_tag(address: u64) -> u64 {
    ((address << 8) as i64 >> 8) as u64
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
    fn only_aborts_of_el0_are_decoded_as_a_programs() {
        let access = |esr| decode_program_fault(esr, 0x70_0000_1234, 0x99).map(|fault| fault.access);
        let expected = |status| matches!(status, 4..8 | 12..16);
        for status in 0..64 {
            let some = |access| expected(status).then_some(access);
            assert_eq!(access(0x9200_0000 | status), some(ProgramAccess::Read), "DFSC {status:#x}");
            assert_eq!(access(0x9200_0040 | status), some(ProgramAccess::Write));
            assert_eq!(access(0x9200_0140 | status), some(ProgramAccess::Read), "CM");
            assert_eq!(access(0x8200_0000 | status), some(ProgramAccess::Execute));
            assert_eq!(access(0x9200_0400 | status), None, "FnV");
        }
        for class in (0..64).filter(|class| ![0x20, 0x24].contains(class)) {
            assert_eq!(access(class << 26 | 7), None, "EC {class:#x}");
        }
        let tagged = decode_program_fault(0x9200_0007, 0x5a00_0070_0000_1234, 0x99).unwrap();
        assert_eq!(
            (tagged.address, tagged.instruction),
            (ProgramAddr::new(0x70_0000_1234), InstructionAddr::new(0x99))
        );
    }

    #[test]
    fn tag_bits_are_stripped() {
        let tagged = FAR & !(0xff << 56) | 0xa5 << 56;
        assert_eq!(decode_fault(0x9600_0007, tagged, 0).unwrap().address, KernelAddr::new(FAR));
        let low = 0x5a00_0000_0000_1234;
        assert_eq!(decode_fault(0x9600_0007, low, 0).unwrap().address, KernelAddr::new(0x1234));
    }
}
