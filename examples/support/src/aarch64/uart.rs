//! The serial port of `virt`: a PL011, which QEMU has switched on already.

use core::fmt;
use core::ptr::NonNull;

use arm_pl011_uart::PL011Registers;
use safe_mmio::UniqueMmioPointer;

/// Its physical address, which is mapped to itself.
pub(super) const ADDRESS: usize = 0x0900_0000;

/// The serial port. It has no state outside the device.
pub(crate) struct Uart(());

impl Uart {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let registers =
            NonNull::new(core::ptr::with_exposed_provenance_mut::<PL011Registers>(ADDRESS)).ok_or(fmt::Error)?;
        // SAFETY: the registers are there, mapped as a device. The console's lock makes this their
        // only user, but for messages that cannot wait; those just put bytes in between.
        let registers = unsafe { UniqueMmioPointer::new(registers) };
        arm_pl011_uart::Uart::new(registers).write_str(text)
    }
}
