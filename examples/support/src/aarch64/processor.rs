//! What each CPU switches on for itself, beyond what the entry code of `aarch64-rt` does, and which
//! CPU it is.

use core::arch::asm;

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{
    CPACR_EL1, ID_AA64MMFR1_EL1, ReadWriteable, Readable, TCR_EL1, TPIDR_EL1, TTBR0_EL1, TTBR1_EL1, Writeable,
};

use super::tables;

/// Notes which CPU this is, in the register for that (Arm ARM D24.2, TPIDR_EL1). Done first of all:
/// fault handlers rely on it.
pub(super) fn set_number(cpu: usize) {
    TPIDR_EL1.set(cpu as u64);
}

/// The number of the CPU that runs this.
pub(crate) fn current() -> usize {
    usize::try_from(TPIDR_EL1.get()).expect("a usize has 64 bits")
}

/// Loads the root of the upper half and lets it be walked.
pub(super) fn enable_upper_half() {
    // The image lies where it was linked, so the address of a table is its physical one.
    TTBR1_EL1.set((&raw const tables::WINDOW_TABLE).addr() as u64);
    barrier::isb(barrier::SY);
    TCR_EL1.modify(TCR_EL1::EPD1::EnableTTBR1Walks);
    barrier::isb(barrier::SY);
    // A TLB may hold the old value of TCR_EL1 (Arm ARM D8.16).
    // SAFETY: forgetting translations is always sound.
    unsafe { asm!("tlbi vmalle1", options(nostack)) };
    barrier::dsb(barrier::NSH);
    barrier::isb(barrier::SY);
}

/// Traps floating-point instructions of EL0 (CPACR_EL1.FPEN, Arm ARM D24.2): nobody saves a program's registers for them.
pub(super) fn trap_floating_point() {
    CPACR_EL1.modify(CPACR_EL1::FPEN::TrapEl0);
    barrier::isb(barrier::SY);
}

/// Sets PSTATE.PAN where the processor has it: the kernel does not, unless it says so, touch pages
/// that EL0 may touch (Arm ARM D8.4).
pub(super) fn enable_protections() {
    if ID_AA64MMFR1_EL1.read(ID_AA64MMFR1_EL1::PAN) != 0 {
        // SAFETY: PAN only forbids, and nothing the kernel uses is mapped for EL0. This is
        // `msr pan, #1`, spelt as the target's assembler knows it without the extension.
        unsafe { asm!(".inst 0xd500419f", options(nomem, nostack)) };
    }
}

/// Loads the other of two address spaces, which differ in nothing but their name (an ASID), so that
/// the TLB remembers both. Does nothing on x86_64 without the boot argument `pcid`.
pub fn switch_context() {
    // TCR_EL1.A1 is 0: the ASID is TTBR0_EL1's, and 8 bits wide at least (Arm ARM D8.16).
    TTBR0_EL1.set(TTBR0_EL1.get() ^ 1 << 48);
    barrier::isb(barrier::SY);
}
