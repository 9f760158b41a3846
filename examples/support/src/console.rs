//! The serial console, and `print!` and `println!` on it.
//!
//! A lock keeps lines whole. Code in a fault handler may have interrupted the lock's holder on
//! the same CPU, so it never waits: where the lock is taken, its text goes out in between.

use core::fmt::{Arguments, Write};

use spin::Mutex;

use crate::{arch, fault};

static CONSOLE: Mutex<()> = Mutex::new(());

/// Prints, waiting for the console only at thread level. What `print!` expands to.
#[doc(hidden)]
pub fn print(text: Arguments<'_>) {
    let guard = match fault::fault_level() {
        0 => Some(CONSOLE.lock()),
        _ => CONSOLE.try_lock(),
    };
    print_now(text);
    drop(guard);
}

/// Prints without a look at the lock.
pub(crate) fn print_now(text: Arguments<'_>) {
    // The device never reports an error.
    let _ = arch::Uart::new().write_fmt(text);
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
