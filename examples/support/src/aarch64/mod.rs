//! aarch64: QEMU's `virt` machine, from the entry code of `aarch64-rt` to the kernel's main
//! function.
//!
//! QEMU loads the ELF file and enters at EL1 with the MMU off; `aarch64-rt` switches it on with
//! the tables of `tables`, clears `.bss`, sets up a stack and the vectors, and calls [`start`].
//!
//! That stack is for exceptions: the kernel moves to another one, which it names by SP_EL0 (Arm
//! ARM D1.2). On one stack, an overflow could not even be reported, since taking the exception
//! would push to the same bad address, for ever. Each other CPU (`secondaries`) has two stacks too.
//!
//! Interrupts stay masked but where a kernel asks for those of other CPUs or of its timer (`gic`): no other device sends any, and
//! TLB flushes are broadcast by the hardware.

mod exceptions;
mod gic;
mod processor;
mod secondaries;
mod semihosting;
mod uart;

#[cfg(feature = "defmt")]
pub(crate) mod channel;
#[cfg(feature = "defmt")]
pub(crate) mod mask;
pub(crate) mod probe;
pub(crate) mod step;
pub(crate) mod tables;
pub(crate) mod user;

use core::arch::asm;

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTVCT_EL0, Readable};
use qemu_exit::{AArch64, QEMUExit};

pub use gic::{arm_timer, disarm_timer, interrupt_others, interruptible};
use kernel_arena::Fault;
pub use kernel_arena::arch::aarch64::BroadcastShootdown as Shootdown;
use kernel_arena::arch::aarch64::tlb::Processor;
use kernel_arena::arch::aarch64::{decode_fault, decode_program_fault};
use kernel_arena::views::ProgramFault;
pub(crate) use processor::current;
pub use processor::switch_context;
pub(crate) use secondaries::{start as start_others, wake as wake_others};
pub use tables::{ADDRESS_WIDTH, LEAF_ATTRIBUTES, PHYSICAL_MAP};
pub(crate) use uart::Uart;

use crate::fault::FaultFrame;
use crate::layout::stack_end;
use crate::machine;

/// The architecture's name.
pub const ARCHITECTURE: &str = "aarch64";

/// How all CPUs flush their TLBs.
pub(crate) const SHOOTDOWN: Shootdown = Shootdown::new(Processor);

/// Where RAM starts.
pub(crate) const RAM_BASE: u64 = 0x4000_0000;

// A stack of 32 pages for the boot, and then for exceptions: they nest eight deep at most.
aarch64_rt::entry!(start, 32);

/// The first code of ours, on the boot stack.
fn start(_: u64, _: u64, _: u64, _: u64) -> ! {
    processor::set_number(0);
    processor::enable_upper_half();
    processor::enable_protections();
    processor::trap_floating_point();
    // SAFETY: the stack is the boot CPU's, and not in use.
    unsafe { move_to_stack(stack_end(0), on_kernel_stack) }
}

/// Leaves the stack that is in use for exceptions, and calls `next` on the one that ends at `end`.
///
/// # Safety
///
/// That stack is nobody's.
unsafe fn move_to_stack(end: u64, next: extern "C" fn() -> !) -> ! {
    // SAFETY: the caller promises that the stack is free; what is on the other is not needed again,
    // since `next` never returns.
    unsafe {
        asm!(
            "msr spsel, #0",
            "mov sp, {end}",
            "mov x29, xzr",
            "mov x30, xzr",
            "br {next}",
            end = in(reg) end,
            next = in(reg) next,
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

/// Does nothing any more.
pub(crate) fn park() -> ! {
    loop {
        aarch64_cpu::asm::wfi();
    }
}

/// What a loop that waits for another CPU does in each turn: lets others run, and, on x86_64,
/// answers their shootdowns, so that it may spin with interrupts masked too.
pub fn relax() {
    // Not `core::hint::spin_loop`, which is an ISB: that does not let another CPU run where they take
    // turns, as under QEMU's `-icount`.
    // SAFETY: a hint (Arm ARM C6.2, YIELD). It counts as an access, so that loads are not moved across.
    unsafe { asm!("yield", options(nostack, preserves_flags)) }
}

/// Runs `f` with interrupts masked, and then as it was before.
///
/// On x86_64 others who need an answer from this CPU wait meanwhile, unless it calls
/// [`relax`]. On aarch64 nothing interrupts, and this just calls `f`.
pub fn without_interrupts<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// The virtual counter, of 62.5 MHz (Arm ARM D24, CNTVCT_EL0). Under `-icount shift=0` it counts
/// once in 16 instructions.
#[must_use]
pub fn ticks() -> u64 {
    // The counter may otherwise be read early.
    barrier::isb(barrier::SY);
    CNTVCT_EL0.get()
}

/// How many instructions this CPU has executed, under `-icount shift=0`: the counter of cycles, of which QEMU has one a
/// nanosecond (Arm ARM D13.2, PMCCNTR_EL0). The first call switches it on.
#[inline]
#[must_use]
pub fn instructions() -> u64 {
    let enabled: u64;
    // SAFETY: reading the set of counters that are on changes nothing.
    unsafe { asm!("mrs {}, pmcntenset_el0", out(reg) enabled, options(nomem, nostack, preserves_flags)) };
    if enabled & CYCLE_COUNTER == 0 {
        // SAFETY: nobody else uses the performance monitors: all counters enabled, the cycles' with 64 bits (E, LC).
        unsafe { asm!("msr pmcr_el0, {}", in(reg) 1u64 | 1 << 6, options(nomem, nostack, preserves_flags)) };
        // SAFETY: as above.
        unsafe {
            asm!("msr pmcntenset_el0, {}", "isb", in(reg) CYCLE_COUNTER, options(nomem, nostack, preserves_flags))
        };
    }
    let cycles: u64;
    // SAFETY: reading a counter changes nothing. Not `nomem`: what comes before is counted, what comes after is not.
    unsafe { asm!("mrs {}, pmccntr_el0", out(reg) cycles, options(nostack, preserves_flags)) };
    cycles
}

/// The bit of the counter of cycles in the set of those that are on.
const CYCLE_COUNTER: u64 = 1 << 31;

/// Decodes what the processor said about a fault.
#[inline]
pub(crate) fn decode(frame: &FaultFrame) -> Option<Fault> {
    decode_fault(frame.syndrome, frame.address, frame.instruction)
}

/// The same, of an abort of EL0.
pub(crate) fn decode_program(frame: &FaultFrame) -> Option<ProgramFault> {
    decode_program_fault(frame.syndrome, frame.address, frame.instruction)
}

/// Whether QEMU's log has the fault as a data abort: instruction aborts (of EL0, and of EL1) are others.
pub(crate) fn is_counted(frame: &FaultFrame) -> bool {
    !matches!(frame.syndrome >> 26 & 0x3f, 0x20 | 0x21)
}
