//! The smallest kernels with an arena, one for each architecture.
//!
//! They rest on nothing of this repository but the library. `kernel` is the kernel that was there before, as small ones are: a
//! boot, a console, exception vectors, a timer, and a frame allocator that takes nothing back. [`arena`] is all that takes
//! the arena in, heap included: `docs/PORTING.md` quotes it, and the repository's tests count its lines. What follows is the
//! same on both: [`run`] tries what the two together do, says so line by line, and ends QEMU with a status of its own.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

#[cfg_attr(target_arch = "x86_64", path = "x86_64/arena.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64/arena.rs")]
pub mod arena;
mod checks;
#[cfg_attr(target_arch = "x86_64", path = "x86_64/kernel/mod.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64/kernel/mod.rs")]
pub mod kernel;
mod stack;
mod ticks;
mod wild;

use core::fmt::Write;
use core::panic::PanicInfo;

use kernel_arena::Arena;

use arena::MyPlatform;
pub(crate) use ticks::tick;

/// QEMU's exit statuses: neither is one that it has by itself.
const PASSED: u32 = 33;
const FAILED: u32 = 35;

/// Prints a line.
macro_rules! println {
    ($($argument:tt)*) => {
        // The device never reports an error.
        let _ = writeln!($crate::kernel::Console, $($argument)*);
    };
}
pub(crate) use println;

/// What the kernel does once it has an arena and a heap.
pub(crate) fn run(arena: &'static Arena<MyPlatform>) -> ! {
    println!("minimal on {}", kernel::NAME);
    let passed = checks::run(arena);
    println!("exceptions {}", kernel::page_faults());
    println!("{passed} passed, 0 failed");
    kernel::exit(PASSED)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("{info}");
    if let Some(name) = checks::running() {
        println!("FAILED {name}: {}", info.message());
    }
    kernel::exit(FAILED)
}
