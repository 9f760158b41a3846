//! x86_64: from QEMU's PVH entry to the kernel's main function.
//!
//! `boot` is the way from the loader to Rust, `tables` the page tables, `segments`, `exceptions` and
//! `interrupts` the descriptor tables, `pvh` what the loader left in memory, `secondaries` the other
//! CPUs, `apic` how they interrupt each other, `shootdown` what that is for, and `channel` where the log goes.

mod apic;
mod boot;
mod exceptions;
mod interrupts;
mod processor;
mod pvh;
mod secondaries;
mod segments;
mod shootdown;
mod uart;
pub(crate) mod user;

#[cfg(feature = "defmt")]
pub(crate) mod channel;
#[cfg(feature = "defmt")]
pub(crate) mod mask;
pub(crate) mod probe;
pub(crate) mod step;
pub(crate) mod tables;

use qemu_exit::{QEMUExit, X86};

use kernel_arena::Fault;
use kernel_arena::arch::x86_64::{decode_fault, decode_program_fault};
use kernel_arena::views::ProgramFault;

pub use interrupts::{arm_timer, disarm_timer, interrupt_others, interruptible, without_interrupts};
pub use processor::switch_context;
use secondaries::secondary;
pub(crate) use secondaries::{start as start_others, wake as wake_others};
pub(crate) use segments::current;
pub use shootdown::InterruptShootdown as Shootdown;
pub use tables::{ADDRESS_WIDTH, PHYSICAL_MAP};
pub(crate) use uart::Uart;

use crate::fault::FaultFrame;
use crate::machine;

/// The architecture's name.
pub const ARCHITECTURE: &str = "x86_64";

/// The bits that a leaf entry for RAM carries besides address and permissions, to have the memory
/// type of the map of physical memory: none. PAT entry 0 is write-back (Intel SDM vol. 3, 13.12.4).
pub const LEAF_ATTRIBUTES: u64 = 0;

/// How all CPUs flush their TLBs.
pub(crate) const SHOOTDOWN: Shootdown = Shootdown;

/// Where RAM starts.
pub(crate) const RAM_BASE: u64 = 0;

/// The first Rust code, on the boot stack and with the boot's descriptor table.
///
/// # Safety
///
/// For the boot code only, once, with the physical address of PVH's start information.
unsafe extern "C" fn start(start_info: u64) -> ! {
    uart::init();
    exceptions::mask_legacy_interrupts();
    segments::load(0);
    exceptions::load();
    processor::enable_protections();
    // SAFETY: QEMU gave the address.
    let start_info = unsafe { pvh::StartInfo::read(start_info) };
    start_info.check_ram();
    let command_line = start_info.command_line();
    if command_line.split_ascii_whitespace().any(|word| word == "pcid") {
        processor::ask_for_contexts();
    }
    processor::enable_contexts();
    apic::enable();
    shootdown::come_online();
    x86_64::instructions::interrupts::enable();
    // SAFETY: this is the one call, and the RAM was just found to be there.
    unsafe { machine::run(command_line) }
}

/// Ends QEMU. The exit device makes `2 * value + 1` of the value, so `status` must be odd.
pub(crate) fn exit(status: u32) -> ! {
    // SAFETY: 0xf4 is where the kernels' QEMU command line puts the exit device.
    let device = unsafe { X86::new(0xf4, 1) };
    device.exit(status >> 1)
}

/// Does nothing any more.
pub(crate) fn park() -> ! {
    loop {
        x86_64::instructions::hlt();
    }
}

/// What a loop that waits for another CPU does in each turn: lets others run, and, on x86_64,
/// answers their shootdowns, so that it may spin with interrupts masked too.
pub fn relax() {
    shootdown::serve();
    core::hint::spin_loop();
}

/// The time stamp counter (Intel SDM vol. 3, 19.17). Under `-icount shift=0` it counts
/// instructions.
#[inline]
#[must_use]
pub fn ticks() -> u64 {
    // SAFETY: CR4.TSD forbids it to user mode at most.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// How many instructions this CPU has executed, under `-icount shift=0`: the time stamp counter counts those there.
#[inline]
#[must_use]
pub fn instructions() -> u64 {
    ticks()
}

/// Decodes what the processor said about a fault.
#[inline]
pub(crate) fn decode(frame: &FaultFrame) -> Option<Fault> {
    decode_fault(frame.address, frame.syndrome, frame.instruction)
}

/// The same, of a fault of user mode.
pub(crate) fn decode_program(frame: &FaultFrame) -> Option<ProgramFault> {
    decode_program_fault(frame.address, frame.syndrome, frame.instruction)
}

/// Whether QEMU's log has the fault as a page fault: all are.
pub(crate) fn is_counted(_frame: &FaultFrame) -> bool {
    true
}
