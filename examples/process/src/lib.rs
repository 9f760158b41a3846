//! Processes: the program's ELF file ([`examples/guests`](../guests/index.html)) in an address space of its own, a view of an arena in
//! it, and what a kernel does for the program while it runs.
//!
//! It is what a kernel with programs has anyway; of the arena there are four calls in it: `attach_view` and `detach_view`, one for
//! the program's faults, one for each of its system calls.

#![no_std]
#![cfg(target_os = "none")]

mod image;
mod process;
mod serve;

pub use process::{Attached, BASE, OWN_PAGE, Process, STACK_END, detach, give_back, with_view};
pub use serve::{CODES, Code, Ended, Nobody, Served, Witness};

/// The arenas of the example kernels.
pub type KernelArena = kernel_arena::Arena<support::KernelPlatform>;
