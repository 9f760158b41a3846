//! The serial console, and `print!` and `println!` on it.
//!
//! A lock keeps lines whole, also where several CPUs print. At thread level it is waited for. Code in
//! a fault handler may have interrupted the lock's holder on the same CPU, or the holder on
//! another CPU may wait for this one, so it waits a while and then prints in between.

use core::fmt::{Arguments, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use crate::arch::{self, current, relax};
use crate::{exit, fault};

static CONSOLE: Mutex<()> = Mutex::new(());

/// The CPU that holds the lock, or [`NOBODY`]. Relaxed: it matters only to that CPU.
static HOLDER: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

/// How many turns a fault handler waits: some milliseconds.
const PATIENCE: u32 = 1 << 16;

/// Prints, waiting for the console only at thread level. What `print!` expands to.
#[doc(hidden)]
pub fn print(text: Arguments<'_>) {
    let turns = if fault::fault_level() == 0 { None } else { Some(PATIENCE) };
    print_after(turns, text);
}

/// Prints when the console is free, or after so many turns: for whoever cannot tell what it has
/// interrupted.
pub(crate) fn print_soon(text: Arguments<'_>) {
    print_after(Some(PATIENCE), text);
}

fn print_after(mut turns: Option<u32>, text: Arguments<'_>) {
    let guard = loop {
        if let Some(guard) = CONSOLE.try_lock() {
            break Some(guard);
        }
        if let Some(turns) = &mut turns {
            if *turns == 0 || HOLDER.load(Ordering::Relaxed) == current() {
                break None;
            }
            *turns -= 1;
        }
        relax();
    };
    if exit::is_ending_elsewhere() {
        drop(guard);
        arch::park();
    }
    if guard.is_some() {
        HOLDER.store(current(), Ordering::Relaxed);
    }
    // The device never reports an error.
    let _ = arch::Uart::new().write_fmt(text);
    if guard.is_some() {
        HOLDER.store(NOBODY, Ordering::Relaxed);
    }
    drop(guard);
}

/// Prints to the serial console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => {
        $crate::console::print(::core::format_args!($($argument)*))
    };
}

/// Prints to the serial console, with a newline.
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($argument:tt)*) => {
        $crate::console::print(::core::format_args!(
            "{}\n",
            ::core::format_args!($($argument)*)
        ))
    };
}
