//! The console: the first serial port, by polling.

use core::fmt;

use x86_64::instructions::port::Port;

/// The serial port.
pub(crate) struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: reading the line status (16550D data sheet, table II) touches no memory.
            while unsafe { Port::<u8>::new(0x3f8 + 5).read() } & 1 << 5 == 0 {}
            // SAFETY: the port sends the byte, and touches no memory.
            unsafe { Port::new(0x3f8).write(byte) };
        }
        Ok(())
    }
}
