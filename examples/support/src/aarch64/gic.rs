//! The interrupt controller: QEMU's default for `virt`, a GICv2 (Arm IHI 0048B), as far as CPUs interrupt each other by
//! it, or themselves by the virtual timer (Arm ARM D12).
//!
//! Nothing else interrupts, and the controller is not touched before a CPU says that it may be interrupted, or sets its
//! timer.

use core::arch::asm;

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTV_CTL_EL0, CNTV_TVAL_EL0, Writeable};

/// The physical address of the distributor, which is mapped to itself together with the CPUs' interfaces.
pub(super) const ADDRESS: usize = 0x0800_0000;

/// The distributor's registers (4.3), and those of the CPU's interface (4.4), from the distributor's start on.
const DISTRIBUTOR_CONTROL: usize = 0;
const SET_ENABLE: usize = 0x100;
const SOFTWARE_GENERATED: usize = 0xf00;
const INTERFACE_CONTROL: usize = 0x1_0000;
const PRIORITY_MASK: usize = 0x1_0004;
const ACKNOWLEDGE: usize = 0x1_000c;
const END_OF_INTERRUPT: usize = 0x1_0010;

/// In both control registers.
const ENABLE: u32 = 1;
/// No interrupt is below this priority.
const ALL_PRIORITIES: u32 = 0xff;
/// Software-generated interrupts: to all CPUs but this one.
const ALL_BUT_SELF: u32 = 0b01 << 24;
/// The interrupt that the kernel sends, of the 16 that software generates.
const CALL: u32 = 1;
/// The interrupt of each CPU's virtual timer.
const TIMER: u32 = 27;
/// The timer counts 62.5 MHz: two microseconds in so many ticks.
const TICKS_PER_TWO_MICROSECONDS: u64 = 125;
/// An acknowledged interrupt's number, besides which stands who sent it.
const NUMBER_MASK: u32 = 0x3ff;
/// There was nothing to acknowledge.
const SPURIOUS: u32 = 1023;

fn register(offset: usize) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut(ADDRESS + offset)
}

fn write(offset: usize, value: u32) {
    // SAFETY: the page tables map the registers, as a device; what is written here interrupts, and touches no memory.
    unsafe { register(offset).write_volatile(value) }
}

fn read(offset: usize) -> u32 {
    // SAFETY: the page tables map the registers, as a device, and reading one touches no memory.
    unsafe { register(offset).read_volatile() }
}

/// Runs `f` with interrupts enabled on this CPU: the only time when [`interrupt_others`] and [`arm_timer`] reach it.
/// Then they are masked. In a handler the next one nests.
pub fn interruptible<R>(f: impl FnOnce() -> R) -> R {
    enable();
    // SAFETY: the handler is in place. The instruction counts as an access, so that nothing is moved across.
    unsafe { asm!("msr daifclr, #2", options(nostack)) };
    let result = f();
    // SAFETY: masking interrupts is always sound.
    unsafe { asm!("msr daifset, #2", options(nostack)) };
    result
}

/// Lets interrupts come to this CPU, where it has not masked them.
pub(super) fn enable() {
    write(DISTRIBUTOR_CONTROL, ENABLE);
    write(PRIORITY_MASK, ALL_PRIORITIES);
    write(INTERFACE_CONTROL, ENABLE);
}

/// Interrupts all other CPUs: each runs the kernel's interrupt handler as soon as it may be interrupted. All that this
/// CPU has written before is visible there. Several calls may come to one interrupt.
pub fn interrupt_others() {
    // The store to the device must not overtake those to memory (Arm ARM B2.3.12).
    barrier::dsb(barrier::ISHST);
    write(SOFTWARE_GENERATED, ALL_BUT_SELF | CALL);
}

/// Has the kernel's interrupt handler run on this CPU when so many microseconds are over, or as soon after that as it
/// may be interrupted. Once; an earlier call that is not due yet is forgotten.
pub fn arm_timer(microseconds: u32) {
    write(SET_ENABLE, 1 << TIMER);
    CNTV_TVAL_EL0.set(u64::from(microseconds) * TICKS_PER_TWO_MICROSECONDS / 2);
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
    barrier::isb(barrier::SY);
}

/// Forgets what [`arm_timer`] was asked for, if it is not due yet.
pub fn disarm_timer() {
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::CLEAR);
    barrier::isb(barrier::SY);
}

/// Acknowledges the interrupt that is being handled and runs what it is for: acknowledged first, so that the kernel's
/// function may be interrupted in its turn. Tells whether it was one of ours.
pub(super) fn handle() -> bool {
    let acknowledged = read(ACKNOWLEDGE);
    match acknowledged & NUMBER_MASK {
        SPURIOUS => true,
        number @ (CALL | TIMER) => {
            if number == TIMER {
                // It asks until it is stopped.
                disarm_timer();
            }
            write(END_OF_INTERRUPT, acknowledged);
            crate::interrupt::handle();
            true
        }
        _ => false,
    }
}
