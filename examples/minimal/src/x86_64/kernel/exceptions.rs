//! The descriptor tables: page faults, double faults on a stack of their own, and the timer.
//!
//! With a nightly compiler the two entries below would be `extern "x86-interrupt"` functions.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::registers::control::Cr2;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;

use super::timer;
use crate::arena;

static PAGE_FAULTS: AtomicU64 = AtomicU64::new(0);
/// The place of its stack in the table of interrupt stacks.
const DOUBLE_FAULT_STACK: u16 = 0;

/// How many page faults there were.
pub(crate) fn page_faults() -> u64 {
    PAGE_FAULTS.load(Ordering::Relaxed)
}

extern "C" fn page_fault(error_code: u64, rip: &mut u64) {
    PAGE_FAULTS.fetch_add(1, Ordering::Relaxed);
    if arena::recovers(error_code, rip) {
        return;
    }
    panic!("page fault: address {:#x}, error code {error_code:#x}, instruction {rip:#x}", Cr2::read_raw());
}

extern "C" fn double_fault(rip: u64, rsp: u64) {
    panic!("double fault: instruction {rip:#x}, stack {rsp:#x}, CR2 {:#x}", Cr2::read_raw());
}

/// Saves what a call may change. The processor aligned the stack to 16 bytes and pushed six words.
#[unsafe(naked)]
extern "C" fn page_fault_entry() {
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
        "sub rsp, 8",
        "mov rdi, [rsp + 80]", // the error code
        "lea rsi, [rsp + 88]", // where RIP is
        "call {page_fault}",
        "add rsp, 8",
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
        page_fault = sym page_fault,
    )
}

#[unsafe(naked)]
extern "C" fn double_fault_entry() {
    naked_asm!(
        "cld",
        "mov rdi, [rsp + 8]",
        "mov rsi, [rsp + 32]",
        "call {double_fault}",
        "ud2",
        double_fault = sym double_fault,
    )
}

/// The segments, and the stack for double faults, which may come of a stack that has run out.
fn load_segments() {
    static STACK: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
    static TASK: Once<TaskStateSegment> = Once::new();
    static TABLE: Once<(GlobalDescriptorTable, SegmentSelector, SegmentSelector)> = Once::new();

    let task = TASK.call_once(|| {
        let mut task = TaskStateSegment::new();
        let top = VirtAddr::from_ptr(&raw const STACK) + size_of_val(&STACK) as u64;
        task.interrupt_stack_table[usize::from(DOUBLE_FAULT_STACK)] = top.align_down(16_u64);
        task
    });
    let (table, code, task) = TABLE.call_once(|| {
        let mut table = GlobalDescriptorTable::new();
        let code = table.append(Descriptor::kernel_code_segment());
        let task = table.append(Descriptor::tss_segment(task));
        (table, code, task)
    });
    table.load();
    // SAFETY: the table has a 64-bit code segment there.
    unsafe { CS::set_reg(*code) };
    // SAFETY: the table has a task state segment there, which nothing else uses.
    unsafe { load_tss(*task) };
}

/// Makes the processor use the tables. What has no entry becomes a double fault.
pub(super) fn load() {
    static TABLE: Once<InterruptDescriptorTable> = Once::new();

    load_segments();
    let address = |entry: extern "C" fn()| VirtAddr::from_ptr(entry as *const ());
    let table = TABLE.call_once(|| {
        let mut table = InterruptDescriptorTable::new();
        // SAFETY: the entry expects an error code and returns with everything restored.
        unsafe { table.page_fault.set_handler_addr(address(page_fault_entry)) };
        // SAFETY: the entry expects an error code and never returns.
        let double_fault = unsafe { table.double_fault.set_handler_addr(address(double_fault_entry)) };
        // SAFETY: the task state segment has a stack there, which nothing else uses.
        unsafe { double_fault.set_stack_index(DOUBLE_FAULT_STACK) };
        // SAFETY: the entry expects no error code and returns with everything restored.
        unsafe { table[timer::VECTOR].set_handler_addr(address(timer::entry)) };
        table
    });
    table.load();
}
