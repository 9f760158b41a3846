//! A panic says where, on which CPU, and ends the machine as failed.
//!
//! It never unwinds, and waits for the console for a moment only: what panicked may hold it.

use core::panic::PanicInfo;

use crate::cpus::cpu_id;
use crate::exit::fail;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(format_args!("CPU {}: {info}\n", cpu_id().number()))
}
