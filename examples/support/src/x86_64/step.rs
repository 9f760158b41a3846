//! Single-stepping by the trap flag.
//!
//! While RFLAGS.TF is set, the processor raises a debug exception after each instruction; one iteration of a string instruction
//! counts as an instruction (Intel SDM vol. 3, 19.3.1.4). Delivery through an interrupt gate clears the flag, and
//! `iretq` puts it back, so neither the handler is stepped nor any other exception's (7.12.1.3). A `popfq` that sets the flag
//! takes effect after the instruction that follows it: here the call of the stepped function.
//!
//! The exception uses the interrupted stack: the kernel's code has no red zone.

use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::registers::debug::{Dr6, Dr6Flags};

use crate::exit::fail;
use crate::step::{self, Step, StepAction};

/// RFLAGS.TF (Intel SDM vol. 3, 2.3).
const TRAP_FLAG: u64 = 1 << 8;
/// RFLAGS.IF.
const INTERRUPT_FLAG: u64 = 1 << 9;
/// What DR6 is when nothing has happened (Intel SDM vol. 3, 19.2.3); the processor only ever sets bits.
const DR6_CLEAR: u64 = 0xffff_0ff0;

/// Calls `function` with `argument`, one instruction at a time.
///
/// # Safety
///
/// It may be called like that, and `step::before` knows what to do at each instruction.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_stepped(function: unsafe extern "C" fn(*const ()), argument: *const ()) {
    naked_asm!(
        "sub rsp, 8",
        "mov rax, rdi",
        "mov rdi, rsi",
        "pushfq",
        "or qword ptr [rsp], {TRAP_FLAG}",
        "popfq",
        "call rax",
        ".global call_stepped_return",
        "call_stepped_return:", // the debug exception here clears the flag
        "add rsp, 8",
        "ret",
        TRAP_FLAG = const TRAP_FLAG,
    )
}

/// Whether this is where a stepped function returns to.
pub(crate) fn is_return(instruction: u64) -> bool {
    unsafe extern "C" {
        #[link_name = "call_stepped_return"]
        static RETURN: u8;
    }
    instruction == (&raw const RETURN).addr() as u64
}

/// The stack in the debug exception's handler: what its entry saved, and above that what the processor did.
#[repr(C)]
struct DebugStack {
    saved_registers: [u64; 9],
    instruction: u64,
    code_segment: u64,
    flags: u64,
    stack_pointer: u64,
    stack_segment: u64,
}

#[unsafe(naked)]
pub(super) extern "C" fn debug_entry() {
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
        "mov rdi, rsp",
        "call {debug}",
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
        "push 1",
        "jmp {user_exit}",
        debug = sym debug,
        user_exit = sym super::user::user_exit,
    )
}

extern "C" fn debug(stack: &mut DebugStack) {
    let cause = Dr6::read();
    // SAFETY: this says only that the cause was seen.
    unsafe { asm!("mov dr6, {}", in(reg) DR6_CLEAR, options(nomem, nostack, preserves_flags)) };
    let action = if cause.contains(Dr6Flags::STEP) { at(stack) } else { None };
    match action {
        Some(StepAction::Continue) => {}
        Some(StepAction::Stop) => stack.flags &= !TRAP_FLAG,
        None => fail(format_args!("x86_64: unexpected debug exception at {:#018x}, {cause:?}\n", stack.instruction)),
    }
}

/// Decides what is to happen before the next instruction.
fn at(stack: &DebugStack) -> Option<StepAction> {
    static LAST: AtomicU64 = AtomicU64::new(0);

    // Again at the same instruction: one that jumps to itself, or the next iteration of a string instruction.
    let instruction = stack.instruction;
    if LAST.swap(instruction, Ordering::Relaxed) == instruction && is_repeated(instruction) {
        return Some(StepAction::Continue);
    }
    step::before(Step { instruction, is_masked: stack.flags & INTERRUPT_FLAG == 0 })
}

/// Whether the instruction has a repeat prefix (Intel SDM vol. 2, REP), which compilers and assemblers write first.
fn is_repeated(instruction: u64) -> bool {
    let address = usize::try_from(instruction).expect("a usize has 64 bits");
    // SAFETY: the processor is about to execute it, so it is there; text is readable.
    let first_byte = unsafe { core::ptr::with_exposed_provenance::<u8>(address).read() };
    matches!(first_byte, 0xf2 | 0xf3)
}
