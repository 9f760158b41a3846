//! The interrupts that CPUs send each other and those of their timers, and how a CPU waits for one.
//!
//! There are no others: the 8259 controllers are masked, and nothing else is set up to interrupt. At
//! thread level interrupts are enabled on every CPU; exceptions and interrupts are handled with
//! interrupts masked, unless the kernel's handler asks for more. No handler here calls into an arena, so
//! they have no interrupt level of their own, but for the kernel's (`crate::interrupt`).

use core::arch::naked_asm;

use x86_64::VirtAddr;
use x86_64::instructions::interrupts;
use x86_64::structures::idt::InterruptDescriptorTable;

use super::user::user_exit;
use super::{apic, shootdown};
use crate::interrupt;

/// "Look into your inbox": `shootdown`.
pub(super) const SHOOTDOWN_VECTOR: u8 = 64;
/// "Look whether there is a job": [`wait_until`].
pub(super) const WAKE_VECTOR: u8 = 65;

/// "Run the kernel's interrupt handler": [`interrupt_others`].
pub(super) const CALL_VECTOR: u8 = 66;
/// "Time is up": [`arm_timer`].
pub(super) const TIMER_VECTOR: u8 = 67;

/// Defines entries that save what a call may change, call a handler, acknowledge and return.
macro_rules! interrupt_entries {
    ($($entry:ident = $vector:expr => $handler:ident;)*) => {$(
        #[unsafe(naked)]
        extern "C" fn $entry() {
            naked_asm!(
                "test byte ptr [rsp + 8], 3", // behind RIP: CS
                "jnz 2f",
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
                // The processor aligned the stack to 16 and pushed five words; these were nine.
                "call {handler}",
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
                "2:",
                "push 0",
                "push {vector}",
                "jmp {user_exit}",
                handler = sym $handler,
                vector = const $vector as u32,
                user_exit = sym user_exit,
            )
        }
    )*};
}

interrupt_entries! {
    shootdown_entry = SHOOTDOWN_VECTOR => shootdown_interrupt;
    wake_entry = WAKE_VECTOR => wake_interrupt;
    call_entry = CALL_VECTOR => call_interrupt;
    timer_entry = TIMER_VECTOR => call_interrupt;
    spurious_entry = apic::SPURIOUS_VECTOR => spurious_interrupt;
}

extern "C" fn shootdown_interrupt() {
    shootdown::serve();
    apic::end_of_interrupt();
}

/// The CPU is awake now, which was the purpose.
extern "C" fn wake_interrupt() {
    apic::end_of_interrupt();
}

/// The one handler here that may call into an arena: it runs at an interrupt level of its own. It is acknowledged
/// first, so that the kernel's function may be interrupted in its turn.
extern "C" fn call_interrupt() {
    apic::end_of_interrupt();
    interrupt::handle();
}

/// Nothing happened, and nothing is acknowledged.
extern "C" fn spurious_interrupt() {}

/// Puts the entries into the table.
pub(super) fn set(table: &mut InterruptDescriptorTable) {
    let entries: [(u8, extern "C" fn()); 5] = [
        (SHOOTDOWN_VECTOR, shootdown_entry),
        (WAKE_VECTOR, wake_entry),
        (CALL_VECTOR, call_entry),
        (TIMER_VECTOR, timer_entry),
        (apic::SPURIOUS_VECTOR, spurious_entry),
    ];
    for (vector, entry) in entries {
        // SAFETY: the entry expects no error code and returns with `iretq`, everything restored.
        unsafe { table[vector].set_handler_addr(VirtAddr::from_ptr(entry as *const ())) };
    }
}

/// Interrupts all other CPUs: each runs the kernel's interrupt handler as soon as it may be interrupted. All that this
/// CPU has written before is visible there. Several calls may come to one interrupt.
pub fn interrupt_others() {
    apic::interrupt_others(CALL_VECTOR);
}

/// Has the kernel's interrupt handler run on this CPU when so many microseconds are over, or as soon after that as it
/// may be interrupted. Once; an earlier call that is not due yet is forgotten.
pub fn arm_timer(microseconds: u32) {
    apic::arm_timer(TIMER_VECTOR, microseconds);
}

/// Forgets what [`arm_timer`] was asked for, if it is not due yet.
pub fn disarm_timer() {
    apic::disarm_timer();
}

/// Runs `f` with interrupts enabled on this CPU, where [`interrupt_others`] and [`arm_timer`] reach it, and then as it
/// was before. On x86_64 they are enabled at thread level in any case; in a handler the next one nests.
pub fn interruptible<R>(f: impl FnOnce() -> R) -> R {
    if interrupts::are_enabled() {
        return f();
    }
    interrupts::enable();
    let result = f();
    interrupts::disable();
    result
}

/// Runs `f` with interrupts masked, and then as it was before.
///
/// On x86_64 others who need an answer from this CPU wait meanwhile, unless it calls
/// [`relax`](crate::relax). On aarch64 nothing interrupts, and this just calls `f`.
pub fn without_interrupts<R>(f: impl FnOnce() -> R) -> R {
    interrupts::without_interrupts(f)
}

/// Sleeps until `condition` holds. Whoever makes it hold sends an interrupt afterwards.
pub(super) fn wait_until(condition: impl Fn() -> bool) {
    loop {
        interrupts::disable();
        if condition() {
            interrupts::enable();
            return;
        }
        // No interrupt is delivered between the two instructions in this (Intel SDM vol. 2, STI),
        // so one that was sent since the condition was looked at ends the sleep.
        interrupts::enable_and_hlt();
    }
}
