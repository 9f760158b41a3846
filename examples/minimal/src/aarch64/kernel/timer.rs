//! The timer: each CPU's virtual one (Arm ARM D12), by the GICv2 of `virt` (Arm IHI 0048B), 500 times a second. Its
//! handler runs the kernel's [`tick`](crate::tick) with interrupts masked.

use aarch64_cpu::registers::{CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_TVAL_EL0, Readable, Writeable};

/// Registers of the distributor (4.3) and of the CPU's interface (4.4).
const DISTRIBUTOR: usize = 0x0800_0000;
const SET_ENABLE: usize = DISTRIBUTOR + 0x100;
const INTERFACE: usize = 0x0801_0000;
const PRIORITY_MASK: usize = INTERFACE + 4;
const ACKNOWLEDGE: usize = INTERFACE + 0xc;
const END_OF_INTERRUPT: usize = INTERFACE + 0x10;
/// The timer's interrupt.
const TIMER: u32 = 27;

fn write(register: usize, value: u32) {
    // SAFETY: the registers are there, mapped as a device; what they do is to interrupt, and none touches memory.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(register).write_volatile(value) }
}

fn set_next() {
    CNTV_TVAL_EL0.set(CNTFRQ_EL0.get() / 500);
}

/// Sets controller and timer up.
pub(super) fn start() {
    write(DISTRIBUTOR, 1);
    write(SET_ENABLE, 1 << TIMER);
    write(PRIORITY_MASK, 0xff);
    write(INTERFACE, 1);
    set_next();
    CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
}

/// The handler of interrupts.
pub(super) fn handle() {
    let register = core::ptr::with_exposed_provenance::<u32>(ACKNOWLEDGE);
    // SAFETY: the register is there, mapped as a device; reading it says which interrupt there is, and touches no memory.
    let acknowledged = unsafe { register.read_volatile() };
    if acknowledged == TIMER {
        crate::tick();
        set_next();
        write(END_OF_INTERRUPT, acknowledged);
    }
}
