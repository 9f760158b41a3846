//! What the processor is to refuse, beyond what the boot code has switched on already
//! (no-execute, and write protection of the kernel from itself).

use core::arch::x86_64::{__cpuid, __cpuid_count};

use x86_64::registers::control::{Cr4, Cr4Flags};

/// CPUID leaf 7, EBX (Intel SDM vol. 2, CPUID).
const SMEP: u32 = 1 << 7;
const SMAP: u32 = 1 << 20;

/// Switches SMEP and SMAP on where the processor has them: the kernel neither executes nor, unless
/// it says so, touches pages that user mode may touch. EFLAGS.AC is off since reset.
pub(super) fn enable_protections() {
    if __cpuid(0).eax < 7 {
        return;
    }
    let features = __cpuid_count(7, 0).ebx;
    let mut flags = Cr4::read();
    flags.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, features & SMEP != 0);
    flags.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features & SMAP != 0);
    // SAFETY: the two flags only forbid, and nothing the kernel uses is mapped for user mode.
    unsafe { Cr4::write(flags) };
}
