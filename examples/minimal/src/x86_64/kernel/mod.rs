//! The kernel that was there before, for x86_64: as small ones are that follow a tutorial.
//!
//! `boot` brings it from QEMU to Rust, with all RAM mapped at an offset; `exceptions` is its descriptor tables, `memory` its
//! frame allocator, which takes nothing back, `serial` its console. Its handlers are interrupt gates, it has one CPU, and
//! its timer's handler allocates, as the arena's heap is its global allocator.

mod boot;
mod exceptions;
mod memory;
mod serial;
mod timer;

use qemu_exit::{QEMUExit, X86};

use crate::arena;

pub use boot::PHYSICAL_MAP;
pub(crate) use exceptions::page_faults;
pub use memory::BootFrames;
pub(crate) use serial::Serial as Console;

/// The architecture's name.
pub(crate) const NAME: &str = "x86_64";

/// The first Rust code, with the physical address of what QEMU says about the machine.
extern "C" fn start(start_info: u64) -> ! {
    exceptions::load();
    timer::start();
    // SAFETY: QEMU gave the address, and this is the one call.
    let frames = unsafe { BootFrames::behind_the_image(start_info) };
    // SAFETY: the boot code mapped all RAM there, and the frames came from the one call.
    crate::run(unsafe { arena::init(PHYSICAL_MAP, frames) })
}

/// Runs `f` while the timer interrupts.
pub(crate) fn interruptible(f: impl FnOnce()) {
    x86_64::instructions::interrupts::enable();
    f();
    x86_64::instructions::interrupts::disable();
}

/// Ends QEMU. The exit device makes `2 * value + 1` of the value, so `status` must be odd.
pub(crate) fn exit(status: u32) -> ! {
    // SAFETY: 0xf4 is where QEMU's command line puts the exit device.
    let device = unsafe { X86::new(0xf4, 1) };
    device.exit(status >> 1)
}
