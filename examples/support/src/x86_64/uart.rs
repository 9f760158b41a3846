//! The first serial port: a 16550 at I/O port 0x3f8, by polling.

use core::fmt;

use x86_64::instructions::port::Port;

const BASE: u16 = 0x3f8;
/// Offsets of the registers (16550D data sheet, table II).
const INTERRUPT_ENABLE: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const LINE_STATUS: u16 = 5;
/// Line status: there is room for a byte.
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// The serial port. It has no state outside the device.
pub(crate) struct Uart(());

impl Uart {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

fn write(offset: u16, value: u8) {
    // SAFETY: nothing the serial port does touches memory.
    unsafe { Port::new(BASE + offset).write(value) }
}

/// Sets the port to 8 data bits, FIFOs on, no interrupts. The speed is left alone: QEMU has none.
pub(crate) fn init() {
    write(INTERRUPT_ENABLE, 0);
    write(LINE_CONTROL, 0b11);
    write(FIFO_CONTROL, 0b111);
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut status = Port::<u8>::new(BASE + LINE_STATUS);
        for byte in text.bytes() {
            // SAFETY: reading the line status only clears error bits that nobody asks for.
            while unsafe { status.read() } & TRANSMITTER_EMPTY == 0 {
                core::hint::spin_loop();
            }
            write(0, byte);
        }
        Ok(())
    }
}
