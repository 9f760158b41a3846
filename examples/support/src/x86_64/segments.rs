//! The kernel's descriptor table and its task state segment.
//!
//! Segments matter in two ways only: an exception needs a 64-bit code segment to go to, and a
//! double fault a stack of its own (Intel SDM vol. 3, 7.14.5), since what usually causes one is
//! that the stack has overflowed into its guard.

use core::cell::UnsafeCell;

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// Where the double fault's stack is in the interrupt stack table.
pub(super) const DOUBLE_FAULT_STACK: u16 = 0;

const STACK_BYTES: usize = 16 << 10;

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: only the processor uses it, for the handler of the double fault.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));
static TASK: Once<TaskStateSegment> = Once::new();
static TABLE: Once<GlobalDescriptorTable> = Once::new();

/// Makes the processor use them.
pub(super) fn load() {
    let task = TASK.call_once(|| {
        let mut task = TaskStateSegment::new();
        task.interrupt_stack_table[usize::from(DOUBLE_FAULT_STACK)] =
            VirtAddr::from_ptr(STACK.0.get()) + STACK_BYTES as u64;
        task
    });
    let mut table = GlobalDescriptorTable::new();
    let code = table.append(Descriptor::kernel_code_segment());
    let data = table.append(Descriptor::kernel_data_segment());
    let task = table.append(Descriptor::tss_segment(task));
    TABLE.call_once(|| table).load();
    // SAFETY: the table now loaded has a 64-bit code segment there.
    unsafe { CS::set_reg(code) };
    // SAFETY: the table now loaded has a writable data segment there.
    unsafe { SS::set_reg(data) };
    // SAFETY: as for SS.
    unsafe { DS::set_reg(data) };
    // SAFETY: as for SS.
    unsafe { ES::set_reg(data) };
    // SAFETY: the table now loaded has the task state segment there, and both are statics.
    unsafe { load_tss(task) };
}
