//! The interrupt descriptor table: page faults go to the kernel's handler, interrupts to
//! `interrupts`, everything else ends the machine with a report.
//!
//! The page fault's entry saves what a call may change and nothing more, and uses the interrupted
//! stack, so a handler that faults is just another exception. CR2 is saved with the
//! registers: a nested fault changes it.

use core::arch::naked_asm;

use spin::Once;
use x86_64::PrivilegeLevel;
use x86_64::VirtAddr;
use x86_64::instructions::port::Port;
use x86_64::structures::idt::InterruptDescriptorTable;

use super::segments::{DOUBLE_FAULT_STACK, current};
use super::user::{self, user_exit};
use super::{interrupts, step};
use crate::exit::fail;
use crate::fault::{self, FaultFrame};
use crate::layout::is_stack_guard;

static TABLE: Once<InterruptDescriptorTable> = Once::new();

/// The stack in the page fault's handler: what its entry saved, and above that what the processor
/// did (Intel SDM vol. 3, 7.14.2).
#[repr(C)]
struct PageFaultStack {
    address: u64,
    saved_registers: [u64; 9],
    error_code: u64,
    instruction: u64,
    code_segment: u64,
    flags: u64,
    stack_pointer: u64,
    stack_segment: u64,
}

#[unsafe(naked)]
extern "C" fn page_fault_entry() {
    naked_asm!(
        "test byte ptr [rsp + 16], 3", // behind the error code and RIP: CS
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
        // The processor aligned the stack to 16 and pushed six words; this is the tenth of ours.
        "mov rax, cr2",
        "push rax",
        "mov rdi, rsp",
        "call {page_fault}",
        "pop rax",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "add rsp, 8",
        "iretq",
        "2:",
        "push 14",
        "jmp {user_exit}",
        page_fault = sym page_fault,
        user_exit = sym user_exit,
    )
}

extern "C" fn page_fault(stack: &mut PageFaultStack) {
    fault::count_exception();
    let frame = FaultFrame {
        address: stack.address,
        syndrome: stack.error_code,
        instruction: stack.instruction,
        from_user: false,
    };
    if let Some(resume) = fault::decide(&frame) {
        stack.instruction = resume;
    }
}

/// The vector that the processor raises when it cannot even deliver an exception.
const DOUBLE_FAULT: u64 = 8;

/// The stack in the handler of any other exception.
#[repr(C)]
struct UnexpectedStack {
    vector: u64,
    error_code: u64,
    instruction: u64,
    code_segment: u64,
    flags: u64,
    stack_pointer: u64,
    stack_segment: u64,
}

#[unsafe(naked)]
extern "C" fn unexpected_entry() {
    naked_asm!(
        "test byte ptr [rsp + 24], 3", // behind vector, error code and RIP: CS
        "jnz {user_exit}",
        "cld",
        "mov rdi, rsp",
        "and rsp, -16",
        "mov rsi, cr2",
        "call {unexpected}",
        "ud2",
        unexpected = sym unexpected,
        user_exit = sym user_exit,
    )
}

extern "C" fn unexpected(stack: &UnexpectedStack, cr2: u64) -> ! {
    let reason = if stack.vector == DOUBLE_FAULT && is_stack_guard(cr2) {
        "the stack has overflowed"
    } else {
        "unexpected exception"
    };
    fail(format_args!(
        "x86_64: {reason}\n  CPU {}, vector {}, error code {:#x}, \
         instruction {:#018x}, code segment {:#x}, flags {:#x}, stack {:#018x}, cr2 {cr2:#018x}\n",
        current(),
        stack.vector,
        stack.error_code,
        stack.instruction,
        stack.code_segment,
        stack.flags,
        stack.stack_pointer,
    ))
}

/// Defines entries that push their vector (and, where the processor pushes no error code, a zero
/// below it), and a function that puts them into the table.
macro_rules! unexpected_exceptions {
    (
        without_code { $($plain:ident = $plain_vector:literal),* $(,)? }
        with_code { $($coded:ident = $coded_vector:literal),* $(,)? }
    ) => {
        $(#[unsafe(naked)]
        extern "C" fn $plain() {
            naked_asm!(
                "push 0",
                concat!("push ", $plain_vector),
                "jmp {entry}",
                entry = sym unexpected_entry,
            )
        })*
        $(#[unsafe(naked)]
        extern "C" fn $coded() {
            naked_asm!(
                concat!("push ", $coded_vector),
                "jmp {entry}",
                entry = sym unexpected_entry,
            )
        })*

        fn set_unexpected(table: &mut InterruptDescriptorTable) {
            $(
                // SAFETY: the entry expects no error code, and never returns.
                unsafe { table.$plain.set_handler_addr(address($plain)) };
            )*
            $(
                // SAFETY: the entry expects an error code, and never returns.
                unsafe { table.$coded.set_handler_addr(address($coded)) };
            )*
        }
    };
}

// Intel SDM vol. 3, table 7-1.
unexpected_exceptions! {
    without_code {
        divide_error = 0,
        non_maskable_interrupt = 2,
        breakpoint = 3,
        overflow = 4,
        bound_range_exceeded = 5,
        invalid_opcode = 6,
        device_not_available = 7,
        x87_floating_point = 16,
        machine_check = 18,
        simd_floating_point = 19,
        virtualization = 20,
    }
    with_code {
        double_fault = 8,
        invalid_tss = 10,
        segment_not_present = 11,
        stack_segment_fault = 12,
        general_protection_fault = 13,
        alignment_check = 17,
        cp_protection_exception = 21,
    }
}

fn address(entry: extern "C" fn()) -> VirtAddr {
    VirtAddr::from_ptr(entry as *const ())
}

/// Makes the processor use the table. The segments must be loaded.
pub(super) fn load() {
    let table = TABLE.call_once(|| {
        let mut table = InterruptDescriptorTable::new();
        set_unexpected(&mut table);
        interrupts::set(&mut table);
        // SAFETY: the entry expects no error code and never returns here.
        let call = unsafe { table[user::CALL_VECTOR].set_handler_addr(address(user::call_entry)) };
        call.set_privilege_level(PrivilegeLevel::Ring3);
        // SAFETY: the entry expects no error code and returns with `iretq`, everything restored.
        unsafe { table.debug.set_handler_addr(address(step::debug_entry)) };
        // SAFETY: the entry expects an error code and returns with `iretq`.
        unsafe { table.page_fault.set_handler_addr(address(page_fault_entry)) };
        // SAFETY: the entry expects an error code, and never returns.
        let double_fault = unsafe { table.double_fault.set_handler_addr(address(double_fault)) };
        // SAFETY: each CPU's task state segment has a stack there, used by nothing else.
        unsafe { double_fault.set_stack_index(DOUBLE_FAULT_STACK) };
        table
    });
    table.load();
}

/// Masks all interrupts at the two 8259 controllers: the firmware leaves them sending IRQ 0 as
/// vector 8, which is the double fault's.
pub(super) fn mask_legacy_interrupts() {
    for data_port in [0x21, 0xa1] {
        // SAFETY: masking an interrupt touches no memory.
        unsafe { Port::<u8>::new(data_port).write(0xff) };
    }
}
