//! The local APIC: how one CPU interrupts the others, or later itself (Intel SDM vol. 3, 12.4 to 12.9).
//!
//! By its registers in memory: QEMU's TCG has no x2APIC mode before version 9. Everything sent
//! goes to *all excluding self*, so no CPU needs to know another's APIC identifier, and one store
//! does it: there is no pair of registers that an interrupt could come in between.

use x86_64::instructions::interrupts::without_interrupts;
use x86_64::registers::model_specific::Msr;

use super::tables::PHYSICAL_MAP;

/// The physical address of the registers (Intel SDM vol. 3, 12.4.1).
pub(super) const ADDRESS: u64 = 0xfee0_0000;

/// The vector that the controller raises when an interrupt went away before it was delivered
/// (12.9). It must not be acknowledged.
pub(super) const SPURIOUS_VECTOR: u8 = 255;

/// Offsets of registers (table 12-1).
const END_OF_INTERRUPT: u64 = 0xb0;
const SPURIOUS: u64 = 0xf0;
const COMMAND: u64 = 0x300;
const TIMER: u64 = 0x320;
const INITIAL_COUNT: u64 = 0x380;
const DIVIDE: u64 = 0x3e0;

/// In the spurious interrupt's register: the controller is on.
const SOFTWARE_ENABLE: u32 = 1 << 8;

/// The timer counts every tick of its clock (12.5.4), which is 1 GHz on QEMU.
const DIVIDE_BY_1: u32 = 0b1011;
const TICKS_PER_MICROSECOND: u32 = 1000;

/// The interrupt command register (12.6.1).
const INIT: u32 = 0b101 << 8;
const START_UP: u32 = 0b110 << 8;
const PENDING: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;
const ALL_BUT_SELF: u32 = 0b11 << 18;

/// The MSR with the registers' address and mode (12.4.4).
const IA32_APIC_BASE: u32 = 0x1b;
const GLOBAL_ENABLE: u64 = 1 << 11;
const X2APIC: u64 = 1 << 10;
const BASE_MASK: u64 = 0x000f_ffff_ffff_f000;

fn register(offset: u64) -> *mut u32 {
    let address = usize::try_from(PHYSICAL_MAP + ADDRESS + offset).expect("a usize has 64 bits");
    core::ptr::with_exposed_provenance_mut(address)
}

fn write(offset: u64, value: u32) {
    // SAFETY: the page tables map the registers, uncached; what is written here interrupts, and
    // touches no memory.
    unsafe { register(offset).write_volatile(value) }
}

fn read(offset: u64) -> u32 {
    // SAFETY: the page tables map the registers, uncached, and reading one has no effect.
    unsafe { register(offset).read_volatile() }
}

/// Switches this CPU's controller on.
///
/// # Panics
///
/// If its registers are not where they are expected.
pub(super) fn enable() {
    // SAFETY: the register exists wherever there is a local APIC, and all x86_64 machines of QEMU
    // have one.
    let base = unsafe { Msr::new(IA32_APIC_BASE).read() };
    assert!(
        base & (GLOBAL_ENABLE | X2APIC) == GLOBAL_ENABLE && base & BASE_MASK == ADDRESS,
        "the local APIC is not in xAPIC mode at {ADDRESS:#x}: IA32_APIC_BASE is {base:#x}"
    );
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
}

/// Acknowledges the interrupt that is being handled.
pub(super) fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Interrupts all other CPUs with this vector: those that have interrupts masked, when they unmask
/// them. Not for an NMI's handler, which may come between the two accesses here.
///
/// All that this CPU has written before is visible to the handlers: the store is to uncached memory,
/// and not done before all earlier ones are (Intel SDM vol. 3, 10.2.2 and 13.3).
pub(super) fn interrupt_others(vector: u8) {
    send(ASSERT | u32::from(vector));
}

/// Raises this vector on this CPU, once, when so many microseconds are over.
pub(super) fn arm_timer(vector: u8, microseconds: u32) {
    write(DIVIDE, DIVIDE_BY_1);
    // One-shot, not masked.
    write(TIMER, vector.into());
    // Writing it starts the timer; 0 would stop it.
    write(INITIAL_COUNT, microseconds.saturating_mul(TICKS_PER_MICROSECOND).max(1));
}

/// Stops the timer.
pub(super) fn disarm_timer() {
    write(INITIAL_COUNT, 0);
}

/// Puts all other CPUs into the state in which they wait for [`start_others`].
pub(super) fn reset_others() {
    send(ASSERT | INIT);
}

/// Starts all other CPUs that wait for it, in real mode, at the first byte of this physical page.
pub(super) fn start_others(page: u8) {
    send(ASSERT | START_UP | u32::from(page));
}

fn send(command: u32) {
    // Masked, lest a handler sends something in between and this overwrites what is still pending.
    without_interrupts(|| {
        while read(COMMAND) & PENDING != 0 {
            core::hint::spin_loop();
        }
        write(COMMAND, ALL_BUT_SELF | command);
    });
}
