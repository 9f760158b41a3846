//! What the example kernels stand on.
//!
//! A kernel is one source for both architectures: it names its main function with [`entry!`],
//! gets a [`Machine`] and returns an [`ExitCode`], which becomes QEMU's exit status. Beneath that
//! lie the two architecture modules, which have the same items; everything else in this crate
//! is written once.
//!
//! What is here is what an arena needs of a kernel and no more: frames, a map of physical
//! memory, page tables with windows left free to lend, exceptions that a kernel's own handler may
//! answer, several CPUs with a TLB shootdown, and a way to touch bad addresses on purpose. The only
//! interrupts are those by which CPUs call each other and those of a timer that a kernel sets. Programs run in user mode
//! ([`user`]), one at a time on each CPU.
//! A kernel that wants `alloc` says which heap it has: [`heap!`] gives it a simple one.
//!
//! QEMU is to have 512 MiB, `-append` for the command line (on both architectures), and a way to exit:
//! `-device isa-debug-exit,iobase=0xf4,iosize=4` on x86_64, `-semihosting-config
//! enable=on,target=native` and `-machine virt` on aarch64. `-smp` may give it up to [`MAX_CPUS`]. On
//! x86_64 the word `pcid` on the command line switches process-context identifiers on: then
//! [`switch_context`] does something, and a processor without them is refused.
//!
//! With the feature `defmt` a kernel has a log (`defmt::info!` and its like), which goes to a channel of its own: on x86_64 to
//! `-device isa-debugcon,iobase=0xe9,chardev=…`, on aarch64 to the host's file that the command line names last, as
//! `defmt=PATH`.
//!
//! For a host it is empty: there is nothing in it that could run there.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "the example kernels build for x86_64-unknown-none and aarch64-unknown-none-softfloat only; \
     `cargo xtask demo` and `cargo xtask test` build and boot them"
);

#[cfg_attr(target_arch = "x86_64", path = "x86_64/mod.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64/mod.rs")]
mod arch;
#[doc(hidden)]
pub mod check;
mod clock;
pub mod console;
mod cpus;
mod exit;
mod fault;
mod frames;
mod heap;
mod interrupt;
mod layout;
#[cfg(feature = "defmt")]
mod log;
mod machine;
mod marked;
mod panic;
mod platform;
mod probe;
mod random;
mod step;
pub mod user;
mod window;

pub use arch::{
    ADDRESS_WIDTH, ARCHITECTURE, LEAF_ATTRIBUTES, PHYSICAL_MAP, Shootdown, instructions, relax, switch_context, ticks,
    without_interrupts,
};
pub use clock::{milliseconds, pause};
pub use cpus::{Barrier, cpu_id};
pub use exit::{ExitCode, exit};
pub use fault::{FaultAction, FaultFrame, exceptions_taken, exceptions_taken_on, fault_level, set_fault_handler};
pub use frames::FrameStack;
pub use heap::StaticHeap;
pub use interrupt::{arm_timer, disarm_timer, interrupt_others, interruptible, set_interrupt_handler};
pub use layout::MAX_CPUS;
#[cfg(feature = "defmt")]
pub use log::{LogTally, log_tally};
pub use machine::Machine;
pub use marked::{Damage, Marked};
pub use platform::{KernelPlatform, ThisCpu};
pub use probe::{
    probe_instructions, probe_read_u8, probe_read_u32, probe_read_u64, probe_write_u8, probe_write_u32, probe_write_u64,
};
pub use random::Random;
pub use step::{Step, StepAction, single_step};
pub use user::program_file;
pub use window::Window;

/// Names a kernel's main function, a `fn(&'static Machine) -> ExitCode`.
///
/// The kernel's binary is `no_std` and `no_main`, and has a build script that passes on the
/// linker script of this crate:
///
/// ```ignore
/// fn main() {
///     println!("cargo::rustc-link-arg-bins=-T{}", std::env::var("DEP_EXAMPLE_KERNEL_SCRIPT").unwrap());
/// }
/// ```
///
/// The kernels here are libraries, and their binaries this line and little more.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(export_name = "kernel_main")]
        fn __kernel_main(machine: &'static $crate::Machine) -> $crate::ExitCode {
            // Through a typed binding, so that a wrong signature is reported here.
            let main: fn(&'static $crate::Machine) -> $crate::ExitCode = $main;
            main(machine)
        }
    };
}

/// Makes a [`StaticHeap`] the kernel's global allocator. A kernel that does not use it has one of its own.
#[macro_export]
macro_rules! heap {
    () => {
        #[global_allocator]
        static __KERNEL_HEAP: $crate::StaticHeap = $crate::StaticHeap::new();
    };
    ($name:ident) => {
        #[global_allocator]
        static $name: $crate::StaticHeap = $crate::StaticHeap::new();
    };
}
