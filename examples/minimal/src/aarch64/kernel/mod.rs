//! The kernel that was there before, for aarch64: QEMU's `virt`, at EL1, from the entry code of `aarch64-rt`.
//!
//! `tables` is its page table, which maps devices and RAM where they are, `exceptions` its vectors, `memory` its frame
//! allocator, which takes nothing back, `serial` its console, `timer` what interrupts. Interrupts are masked in handlers,
//! it has one CPU, and its timer's handler allocates, as the arena's heap is its global allocator.

mod exceptions;
mod memory;
mod serial;
mod tables;
mod timer;

use core::arch::asm;

use qemu_exit::{AArch64, QEMUExit};

use crate::arena;

pub(crate) use exceptions::page_faults;
pub use memory::BootFrames;
pub(crate) use serial::Serial as Console;

/// The architecture's name.
pub(crate) const NAME: &str = "aarch64";

// With a stack of 16 pages.
aarch64_rt::entry!(start, 16);

/// The first code of ours.
fn start(_: u64, _: u64, _: u64, _: u64) -> ! {
    timer::start();
    // SAFETY: this is the one call.
    let frames = unsafe { BootFrames::behind_the_image() };
    // SAFETY: the boot code mapped memory where it is, and the frames came from the one call.
    crate::run(unsafe { arena::init(frames) })
}

/// Runs `f` while the timer interrupts.
pub(crate) fn interruptible(f: impl FnOnce()) {
    // SAFETY: the handler is in place. The instruction counts as an access, so that nothing is moved across.
    unsafe { asm!("msr daifclr, #2", options(nostack)) };
    f();
    // SAFETY: masking interrupts is always sound.
    unsafe { asm!("msr daifset, #2", options(nostack)) };
}

/// Ends QEMU, by semihosting.
pub(crate) fn exit(status: u32) -> ! {
    AArch64::new().exit(status)
}
