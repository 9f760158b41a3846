//! The console: the PL011 of `virt`, which QEMU has switched on already.

use core::fmt;

/// The serial port.
pub(crate) struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let data = core::ptr::with_exposed_provenance_mut::<u32>(0x0900_0000);
            // SAFETY: the data register (PL011 manual, 3.3.1) is there, mapped as a device; it sends the byte.
            unsafe { data.write_volatile(u32::from(byte)) };
        }
        Ok(())
    }
}
