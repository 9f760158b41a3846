//! Decoding of a page fault (#PF).

use bitflags::bitflags;

use crate::addr::{KernelAddr, ProgramAddr};
use crate::fault::program::{ProgramAccess, ProgramFault};
use crate::fault::{Access, Fault, InstructionAddr};

bitflags! {
    /// The error code of a #PF (Intel SDM vol. 3, figure 5-12).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ErrorCode: u64 {
        /// P: a present entry forbade the access.
        const PRESENT = 1 << 0;
        /// W/R: the access was a write.
        const WRITE = 1 << 1;
        /// U/S: it came from user mode.
        const USER = 1 << 2;
        /// RSVD: a reserved bit was set in an entry.
        const RESERVED = 1 << 3;
        /// I/D: it was an instruction fetch.
        const FETCH = 1 << 4;
        /// PK: a protection key forbade it.
        const PROTECTION_KEY = 1 << 5;
        /// SS: it was a shadow-stack access.
        const SHADOW_STACK = 1 << 6;
        /// HLAT: the fault came from HLAT paging.
        const HLAT = 1 << 7;
        /// SGX: an SGX-specific access control forbade it.
        const SGX = 1 << 15;
    }
}

/// Whether a #PF is one that an arena may recover, and if so, which access it was: a data access from kernel mode to a page
/// that no entry translates. Anything else gives `None`.
///
/// `cr2` is the faulting address, `error_code` what the processor pushed, `rip` the interrupted instruction.
///
/// ```
/// use kernel_arena::{Access, arch::x86_64::decode_fault};
/// let fault = decode_fault(0xffff_9000_0000_1234, 0b0_0010, 0xffff_ffff_8010_0000).unwrap();
/// assert_eq!(fault.access, Access::Write);
/// assert!(decode_fault(0xffff_9000_0000_1234, 0b0_0011, 0).is_none()); // a protection fault is not a missing page
/// ```
#[inline]
pub const fn decode_fault(cr2: u64, error_code: u64, rip: u64) -> Option<Fault> {
    // Not only the bits named above: a bit that is not known yet means something that is not known to be recoverable.
    if error_code & !ErrorCode::WRITE.bits() != 0 {
        return None;
    }
    let access = if error_code & ErrorCode::WRITE.bits() != 0 { Access::Write } else { Access::Read };
    Some(Fault { address: KernelAddr::new(cr2), access, instruction: InstructionAddr::new(rip) })
}

/// Whether a #PF is one of user mode that an arena's [`handle_program_fault`](crate::Arena::handle_program_fault) may be asked
/// about, and if so, which access it was: of data or a fetch, to a page that is missing or that is not the program's.
///
/// ```
/// use kernel_arena::{arch::x86_64::decode_program_fault, views::ProgramAccess};
/// let fault = decode_program_fault(0x70_0000_1234, 0b0_0110, 0x40_0000).unwrap();
/// assert_eq!(fault.access, ProgramAccess::Write);
/// assert!(decode_program_fault(0x70_0000_1234, 0b0_0010, 0x40_0000).is_none()); // the kernel's own
/// ```
#[inline]
pub const fn decode_program_fault(cr2: u64, error_code: u64, rip: u64) -> Option<ProgramFault> {
    const USER_WRITE: u64 = ErrorCode::USER.bits() | ErrorCode::WRITE.bits();
    const USER_FETCH: u64 = ErrorCode::USER.bits() | ErrorCode::FETCH.bits();
    // P may be set: then an entry forbade it. As above, any other bit means something else.
    let access = match error_code & !ErrorCode::PRESENT.bits() {
        error_code if error_code == ErrorCode::USER.bits() => ProgramAccess::Read,
        USER_WRITE => ProgramAccess::Write,
        USER_FETCH => ProgramAccess::Execute,
        _ => return None,
    };
    Some(ProgramFault { address: ProgramAddr::new(cr2), access, instruction: InstructionAddr::new(rip) })
}

/// CR2: the address of this CPU's last page fault. A handler reads it before anything of its own can fault.
#[cfg(all(target_arch = "x86_64", not(any(unix, windows))))]
pub fn fault_address() -> u64 {
    let cr2: u64;
    // SAFETY: reading CR2 has no effect. Not through the `x86_64` crate's address type, which has 48 bits.
    unsafe { core::arch::asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack, preserves_flags)) };
    cr2
}

/// 0, which is in no window: a process has no such register.
#[cfg(any(not(target_arch = "x86_64"), unix, windows))]
pub fn fault_address() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_accesses_of_user_mode_are_decoded_as_a_programs() {
        let access = |error_code| decode_program_fault(0x1234, error_code, 0x99).map(|fault| fault.access);
        for present in [0, 1] {
            assert_eq!(access(0b100 | present), Some(ProgramAccess::Read));
            assert_eq!(access(0b110 | present), Some(ProgramAccess::Write));
            assert_eq!(access(0b10100 | present), Some(ProgramAccess::Execute));
            assert_eq!(access(0b10110 | present), None);
            for bit in (0..32).filter(|bit| ![0, 1, 2, 4].contains(bit)) {
                assert_eq!(access(0b100 | present | 1 << bit), None, "bit {bit}");
            }
            assert_eq!([0, 2, 0x10].map(|kernel| access(kernel | present)), [None; 3]);
        }
        let fault = decode_program_fault(0x1234, 4, 0x99).unwrap();
        assert_eq!((fault.address, fault.instruction), (ProgramAddr::new(0x1234), InstructionAddr::new(0x99)));
    }

    #[test]
    fn only_kernel_data_accesses_to_missing_pages_are_decoded() {
        let read = decode_fault(0x1234, 0, 0x99).unwrap();
        assert_eq!((read.address, read.access), (KernelAddr::new(0x1234), Access::Read));
        assert_eq!(read.instruction, InstructionAddr::new(0x99));
        assert_eq!(decode_fault(0x1234, 2, 0).unwrap().access, Access::Write);
        for bit in (0..32).filter(|bit| *bit != 1) {
            assert_eq!(decode_fault(0x1234, 1 << bit, 0), None, "bit {bit}");
            assert_eq!(decode_fault(0x1234, 1 << bit | 2, 0), None, "bit {bit} and W");
        }
    }
}
