//! The timer: IRQ 0 of the old interrupt controllers, 500 times a second. Its handler runs the kernel's
//! [`tick`](crate::tick) with interrupts off.

use core::arch::naked_asm;

use x86_64::instructions::port::Port;

/// Where the controllers' 16 interrupts begin.
pub(super) const VECTOR: u8 = 32;

/// The controllers' command and data ports (8259A data sheet), and the timer's (8254).
const CONTROLLERS: [(u16, u16); 2] = [(0x20, 0x21), (0xa0, 0xa1)];
const TIMER_COMMAND: u16 = 0x43;
const TIMER_DATA: u16 = 0x40;
/// The timer counts 1.193182 MHz.
const DIVISOR: u16 = 2386;

fn write(port: u16, value: u8) {
    // SAFETY: what the controllers and the timer do by it is to interrupt; none touches memory.
    unsafe { Port::new(port).write(value) }
}

/// Sets controllers and timer up, all else masked.
pub(super) fn start() {
    for ((command, data), (vector, wiring)) in CONTROLLERS.into_iter().zip([(VECTOR, 1 << 2), (VECTOR + 8, 2)]) {
        write(command, 0x11); // begin, four words
        write(data, vector);
        write(data, wiring);
        write(data, 0x01); // 8086 mode
    }
    write(CONTROLLERS[0].1, !1);
    write(CONTROLLERS[1].1, !0);
    write(TIMER_COMMAND, 0x34); // counter 0, both bytes, rate generator
    for byte in DIVISOR.to_le_bytes() {
        write(TIMER_DATA, byte);
    }
}

extern "C" fn timer() {
    crate::tick();
    write(CONTROLLERS[0].0, 0x20); // end of interrupt
}

/// Saves what a call may change. The processor aligned the stack to 16 bytes and pushed five words; these are nine.
#[unsafe(naked)]
pub(super) extern "C" fn entry() {
    naked_asm!(
        "cld",
        "push rax",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "call {timer}",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "iretq",
        timer = sym timer,
    )
}
