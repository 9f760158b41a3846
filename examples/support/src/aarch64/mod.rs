//! aarch64: QEMU's `virt` machine, from the entry code of `aarch64-rt` to the kernel's main
//! function.
//!
//! QEMU loads the ELF file and enters at EL1 with the MMU off; `aarch64-rt` switches it on with
//! the tables of `tables`, clears `.bss`, sets up a stack and the vectors, and calls [`start`].
//!
//! That stack is for exceptions: the kernel moves to another one, which it names by SP_EL0 (Arm
//! ARM D1.2). On one stack, an overflow could not even be reported, since taking the exception
//! would push to the same bad address, for ever.

mod exceptions;
mod processor;
mod semihosting;
mod uart;

pub(crate) mod probe;
pub(crate) mod tables;

use core::arch::asm;
use core::cell::UnsafeCell;

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTVCT_EL0, Readable};
use qemu_exit::{AArch64, QEMUExit};

use kernel_arena::Fault;
pub(crate) use kernel_arena::arch::aarch64::BroadcastShootdown as Shootdown;
use kernel_arena::arch::aarch64::decode_fault;
use kernel_arena::arch::aarch64::tlb::Processor;
pub use tables::{ADDRESS_WIDTH, LEAF_ATTRIBUTES, PHYSICAL_MAP};
pub(crate) use uart::Uart;

use crate::fault::FaultFrame;
use crate::machine;

/// The architecture's name.
pub const ARCHITECTURE: &str = "aarch64";

/// How all CPUs flush their TLBs.
pub(crate) const SHOOTDOWN: Shootdown = Shootdown::new(Processor);

/// Where RAM starts.
pub(crate) const RAM_BASE: u64 = 0x4000_0000;

// A stack of 32 pages for the boot, and then for exceptions: they nest eight deep at most.
aarch64_rt::entry!(start, 32);

/// Size of the kernel's stack, in bytes.
const STACK_BYTES: usize = 256 << 10;

#[repr(C, align(4096))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: only the boot CPU uses it, as its stack.
unsafe impl Sync for Stack {}

#[unsafe(link_section = ".stack.kernel_stack")]
static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// The first code of ours, on the boot stack.
fn start(_: u64, _: u64, _: u64, _: u64) -> ! {
    processor::enable_upper_half();
    processor::enable_protections();
    // SAFETY: the stack is nobody's yet and reserved for this; what is on the boot stack is not
    // needed again; and `on_kernel_stack` never returns.
    unsafe {
        asm!(
            "msr spsel, #0",
            "mov sp, {top}",
            "mov x29, xzr",
            "mov x30, xzr",
            "b {next}",
            top = in(reg) STACK.0.get().wrapping_add(1),
            next = sym on_kernel_stack,
            options(noreturn),
        )
    }
}

extern "C" fn on_kernel_stack() -> ! {
    let command_line = semihosting::command_line();
    // SAFETY: `aarch64-rt` calls `start` once, on the boot CPU, and only that comes here; `virt`
    // has RAM from `RAM_BASE` on, as much as QEMU was given (128 MiB if nothing else is said).
    unsafe { machine::run(command_line) }
}

/// Ends QEMU, through semihosting.
pub(crate) fn exit(status: u32) -> ! {
    AArch64::new().exit(status)
}

/// Does nothing for a while.
pub(crate) fn wait() {
    aarch64_cpu::asm::wfi();
}

/// The virtual counter, of 62.5 MHz (Arm ARM D24, CNTVCT_EL0). Under `-icount shift=0` it counts
/// once in 16 instructions.
#[must_use]
pub fn ticks() -> u64 {
    // The counter may otherwise be read early.
    barrier::isb(barrier::SY);
    CNTVCT_EL0.get()
}

/// Decodes what the processor said about a fault.
pub(crate) fn decode(frame: &FaultFrame) -> Option<Fault> {
    decode_fault(frame.syndrome, frame.address, frame.instruction)
}
