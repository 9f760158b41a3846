//! The kernel's descriptor table and the task state segments in it, one for each CPU.
//!
//! Segments matter in three ways only: an exception needs a 64-bit code segment to go to, a
//! double fault a stack of its own (Intel SDM vol. 3, 7.14.5), since what usually causes one is
//! that the stack has overflowed into its guard, and the task register tells which CPU it is.
//!
//! The task register is a good name for that: each CPU must have a task state segment of its own
//! anyway (a processor marks the one it uses as busy, Intel SDM vol. 3, 9.2.2), reading it takes one
//! instruction in any context, and user mode cannot change it, as it can GS.

use core::arch::asm;
use core::cell::UnsafeCell;

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use crate::layout::{MAX_CPUS, exception_stack_end};

/// Where the double fault's stack is in the interrupt stack table.
pub(super) const DOUBLE_FAULT_STACK: u16 = 0;

/// Entries of the table: none, code, data, user mode's data and code, and two for each task state segment.
const ENTRIES: usize = 5 + 2 * MAX_CPUS;
/// User mode's selectors, with its privilege level in them.
pub(super) const USER_DATA: u64 = (3 * 8) | 3;
pub(super) const USER_CODE: u64 = (4 * 8) | 3;
/// The selector of the first CPU's task state segment, and from one to the next.
const FIRST_TASK: u16 = 5 * 8;
const TASK_STRIDE: u16 = 2 * 8;

static TASKS: Once<[Task; MAX_CPUS]> = Once::new();
static TABLE: Once<Table> = Once::new();

/// A CPU's task state segment. The processor reads it; of the kernel, the CPU alone writes it, and RSP0 alone.
struct Task(UnsafeCell<TaskStateSegment>);

// SAFETY: each is its CPU's alone, once they are built.
unsafe impl Sync for Task {}
// SAFETY: as above.
unsafe impl Send for Task {}

struct Table {
    table: GlobalDescriptorTable<ENTRIES>,
    code: SegmentSelector,
    data: SegmentSelector,
    tasks: [SegmentSelector; MAX_CPUS],
}

/// Makes this processor use them, as the CPU with this number.
pub(super) fn load(cpu: usize) {
    let table = TABLE.call_once(build);
    table.table.load();
    // SAFETY: the table now loaded has a 64-bit code segment there.
    unsafe { CS::set_reg(table.code) };
    // SAFETY: the table now loaded has a writable data segment there.
    unsafe { SS::set_reg(table.data) };
    // SAFETY: as for SS.
    unsafe { DS::set_reg(table.data) };
    // SAFETY: as for SS.
    unsafe { ES::set_reg(table.data) };
    // SAFETY: the table now loaded has a task state segment there that is this CPU's alone, and both
    // are statics.
    unsafe { load_tss(table.tasks[cpu]) };
}

fn build() -> Table {
    let tasks = TASKS.call_once(|| core::array::from_fn(task));
    let mut table = GlobalDescriptorTable::empty();
    let code = table.append(Descriptor::kernel_code_segment());
    let data = table.append(Descriptor::kernel_data_segment());
    let user_data = table.append(Descriptor::user_data_segment());
    let user_code = table.append(Descriptor::user_code_segment());
    // SAFETY: the segments are in a static, which is initialised.
    let tasks = tasks.each_ref().map(|task| table.append(unsafe { Descriptor::tss_segment_unchecked(task.0.get()) }));
    assert!(tasks[0].0 == FIRST_TASK, "selectors are where `current` looks for them");
    let user = [user_data, user_code].map(|selector| u64::from(selector.0));
    assert!(user == [USER_DATA, USER_CODE], "selectors are where `enter` looks for them");
    Table { table, code, data, tasks }
}

fn task(cpu: usize) -> Task {
    let mut task = TaskStateSegment::new();
    task.interrupt_stack_table[usize::from(DOUBLE_FAULT_STACK)] = VirtAddr::new(exception_stack_end(cpu));
    Task(UnsafeCell::new(task))
}

/// The number of the CPU that runs this: 0 before it has loaded its segments.
pub(crate) fn current() -> usize {
    let selector: u16;
    // SAFETY: this only reads the task register.
    unsafe { asm!("str {:x}", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    usize::from(selector.saturating_sub(FIRST_TASK) / TASK_STRIDE)
}

/// Where a CPU's stack pointer for what interrupts user mode is kept. It is the CPU's own to write.
pub(super) fn kernel_stack_pointer(cpu: usize) -> *mut u64 {
    // RSP0 lies 4 bytes behind the start (Intel SDM vol. 3, figure 9-11), so it is not aligned; stores may be so.
    TASKS.get().map_or(core::ptr::null_mut(), |tasks| tasks[cpu].0.get().cast::<u8>().wrapping_add(4).cast())
}
