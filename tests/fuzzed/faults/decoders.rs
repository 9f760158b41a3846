//! The decoders, and what the manuals say of the same registers.

use kernel_arena::arch::{aarch64, x86_64};
use kernel_arena::views::{ProgramAccess, ProgramFault};
use kernel_arena::{Access, Fault};

use super::registers::Registers;

/// What a decoder makes of registers: an access of the kernel's, one of a program's.
pub(super) type Decoded = (Option<Fault>, Option<ProgramFault>);
pub(super) type Decode = fn(Registers) -> Decoded;

/// Intel SDM vol. 3, figure 5-12.
pub(super) fn of_x86_64(registers: Registers) -> Decoded {
    let Registers { address, code, instruction } = registers;
    let kernels = match code {
        0 => Some(Access::Read),
        2 => Some(Access::Write),
        _ => None,
    };
    let programs = match code & !1 {
        4 => Some(ProgramAccess::Read),
        6 => Some(ProgramAccess::Write),
        0x14 => Some(ProgramAccess::Execute),
        _ => None,
    };
    let decoded =
        (x86_64::decode_fault(address, code, instruction), x86_64::decode_program_fault(address, code, instruction));
    agree(decoded, (kernels, programs), address, instruction)
}

/// Arm ARM D24.2.45: class, WnR, CM, FnV and DFSC.
pub(super) fn of_aarch64(registers: Registers) -> Decoded {
    let Registers { address, code, instruction } = registers;
    let (class, status, bit) = (code >> 26 & 0x3f, code & 0x3f, |bit: u32| code >> bit & 1 == 1);
    let (writes, maintains, no_address) = (bit(6), bit(8), bit(10));
    let kernels = match (class, status) {
        (0x25, 6 | 7) if !maintains && !no_address => Some(if writes { Access::Write } else { Access::Read }),
        _ => None,
    };
    let programs = match (class, status) {
        _ if no_address => None,
        (0x20, 4..8 | 12..16) => Some(ProgramAccess::Execute),
        (0x24, 4..8 | 12..16) if writes && !maintains => Some(ProgramAccess::Write),
        (0x24, 4..8 | 12..16) => Some(ProgramAccess::Read),
        _ => None,
    };
    let decoded =
        (aarch64::decode_fault(code, address, instruction), aarch64::decode_program_fault(code, address, instruction));
    // Bit 55 says which half it is in, and what is above it may be a tag.
    let untagged = if address >> 55 & 1 == 1 { address | 0xff << 56 } else { address & !(0xff << 56) };
    agree(decoded, (kernels, programs), untagged, instruction)
}

fn agree(
    decoded: Decoded,
    accesses: (Option<Access>, Option<ProgramAccess>),
    address: u64,
    instruction: u64,
) -> Decoded {
    let (kernels, programs) = decoded;
    assert_eq!((kernels.map(|fault| fault.access), programs.map(|fault| fault.access)), accesses);
    let of_kernel = kernels.map(|fault| (fault.address.value(), fault.instruction.value()));
    let of_program = programs.map(|fault| (fault.address.value(), fault.instruction.value()));
    for places in [of_kernel, of_program].into_iter().flatten() {
        assert_eq!(places, (address, instruction), "{decoded:?}");
    }
    decoded
}
