//! Tasks on CPUs, and who decides which of them runs where: the kernel itself, or a scheduler that is loaded as bytecode.
//!
//! A scheduler is an eBPF object (`programs/` has their sources, in C) with five functions. They make a
//! [group](kernel_arena::groups) and share one arena: their queues lie in it, and so does the CPU mask by which the kernel tells
//! them where a task may run. What a scheduler does wrong is recorded with its function and line, and it is thrown out; the
//! kernel then goes on by itself, or loads another, on another arena. No task is lost, for what is true of a task is not in the
//! arena.
//!
//! | | |
//! |---|---|
//! | [`tasks`] | what is to be done, what was done, and the kernel's own scheduler |
//! | [`work`] | the CPUs: each asks who is next, and gives that task a slice |
//! | [`loaded`] | a scheduler, from its bytes to its end |
//! | [`timeline`] | what ran where, and who chose it |
//! | [`sources`] | the schedulers that come with this crate |

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod host;
pub use host::codes;
pub mod loaded;
pub mod sources;
pub mod tasks;
pub mod timeline;
pub mod work;

use kernel_arena::Registry;
use support::KernelPlatform;

/// The arenas of the example kernels.
pub type KernelArena = kernel_arena::Arena<KernelPlatform>;

/// Where the kernel's fault handler finds them.
pub type Arenas = Registry<KernelPlatform, 4>;
