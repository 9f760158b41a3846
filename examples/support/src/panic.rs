//! A panic says where, and ends the machine as failed.
//!
//! It never unwinds and never waits: what panicked may hold the console.

use core::panic::PanicInfo;

use crate::console::print_now;
use crate::exit::{ExitCode, exit};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    print_now(format_args!("{info}\n"));
    exit(ExitCode::Failed)
}
