//! The other CPUs: how they are started, and how they end.
//!
//! They are off until there is a job, and go off after it: without an interrupt controller nothing
//! could wake a CPU that sleeps, and one that spins takes time from those that work. Off and on is a
//! call to the firmware (Arm PSCI, DEN0022, 5.1), which QEMU is itself, by HVC. A CPU that comes on has
//! an empty TLB: the entry code of `aarch64-rt` flushes it.

use core::arch::asm;

use aarch64_rt::{SuspendContext, warm_boot_entry};
use spin::Once;

use super::{move_to_stack, processor, relax};
use crate::cpus;
use crate::layout::{MAX_CPUS, exception_stack_end, stack_end};

/// PSCI functions (DEN0022, 5.1.2).
const CPU_OFF: u64 = 0x8400_0002;
const CPU_ON: u64 = 0xc400_0003;
/// PSCI results (DEN0022, 5.2.2).
const SUCCESS: i32 = 0;
const ALREADY_ON: i32 = -4;
const ON_PENDING: i32 = -5;

/// QEMU's configuration device on `virt` (`docs/specs/fw_cfg`), in the same 2 MiB as the serial
/// port: the item's bytes, and the choice of an item.
const CONFIGURATION_DATA: usize = 0x0902_0000;
const CONFIGURATION_SELECTOR: usize = 0x0902_0008;
/// The item with the number of CPUs, 16 bits.
const NUMBER_OF_CPUS: u16 = 5;

/// Where each CPU starts.
struct Contexts([SuspendContext; MAX_CPUS]);

// SAFETY: the pointers in it are to the ends of stacks, each for the one CPU that starts there.
unsafe impl Send for Contexts {}
// SAFETY: as above; nothing in it ever changes.
unsafe impl Sync for Contexts {}

/// How many CPUs the machine has, as QEMU tells.
fn count_in_machine() -> usize {
    let selector = core::ptr::with_exposed_provenance_mut::<u16>(CONFIGURATION_SELECTOR);
    // SAFETY: the register is there, mapped as a device; choosing an item touches no memory.
    unsafe { selector.write_volatile(NUMBER_OF_CPUS.to_be()) };
    let data = core::ptr::with_exposed_provenance::<u8>(CONFIGURATION_DATA);
    let byte = || {
        // SAFETY: as above; reading an item has no effect but that the next byte follows.
        unsafe { data.read_volatile() }
    };
    usize::from(u16::from_le_bytes([byte(), byte()]))
}

/// How many CPUs there are to be, up to [`MAX_CPUS`] in all. They stay off for now.
pub(crate) fn start() -> u32 {
    u32::try_from(count_in_machine().clamp(1, MAX_CPUS)).expect("there are few CPUs")
}

/// Makes the other CPUs, `count` with this one, run the job that was posted.
///
/// # Panics
///
/// If the firmware refuses.
pub(crate) fn wake(count: u32) {
    static CONTEXTS: Once<Contexts> = Once::new();

    let contexts = &CONTEXTS.call_once(|| Contexts(core::array::from_fn(context))).0;
    // What a CPU finds when it comes on was written before (Arm ARM B2.3.12); it reads by way of
    // the same caches, since its entry code enables them first.
    aarch64_cpu::asm::barrier::dsb(aarch64_cpu::asm::barrier::ISHST);
    for (cpu, context) in contexts.iter().enumerate().take(count as usize).skip(1) {
        let context = (&raw const *context).expose_provenance() as u64;
        let entry = warm_boot_entry as *const () as u64;
        let mut result = call_firmware(CPU_ON, affinity(cpu), entry, context);
        // It may still be on its way off.
        while matches!(result, ALREADY_ON | ON_PENDING) {
            relax();
            result = call_firmware(CPU_ON, affinity(cpu), entry, context);
        }
        assert!(result == SUCCESS, "CPU {cpu} does not start: PSCI says {result}");
    }
}

fn context(cpu: usize) -> SuspendContext {
    let stack = usize::try_from(exception_stack_end(cpu)).expect("a usize has 64 bits");
    SuspendContext { stack_ptr: core::ptr::with_exposed_provenance_mut(stack), entry: secondary, arg: cpu as u64 }
}

/// The name of a CPU on `virt`, as in MPIDR_EL1: groups of eight (with the second version of the
/// interrupt controller, QEMU's default).
const fn affinity(cpu: usize) -> u64 {
    assert!(cpu < 8);
    cpu as u64
}

/// The first code of ours on a CPU that comes on, on its exception stack.
extern "C" fn secondary(cpu: u64) -> ! {
    let cpu = usize::try_from(cpu).expect("a usize has 64 bits");
    processor::set_number(cpu);
    processor::enable_upper_half();
    processor::enable_protections();
    processor::trap_floating_point();
    // SAFETY: the stack is this CPU's, and not in use.
    unsafe { move_to_stack(stack_end(cpu), job_then_off) }
}

extern "C" fn job_then_off() -> ! {
    cpus::run_job();
    let result = call_firmware(CPU_OFF, 0, 0, 0);
    panic!("the CPU does not go off: PSCI says {result}");
}

/// A call by the SMC calling convention (Arm DEN0028, 2.6), which may change x0 to x17.
fn call_firmware(function: u64, first: u64, second: u64, third: u64) -> i32 {
    let result: i64;
    // SAFETY: the functions called here start or end a CPU, which their callers may do; else they
    // change only these registers.
    unsafe {
        asm!(
            "hvc #0",
            inout("x0") function => result,
            inout("x1") first => _, inout("x2") second => _, inout("x3") third => _,
            out("x4") _, out("x5") _, out("x6") _, out("x7") _, out("x8") _, out("x9") _, out("x10") _,
            out("x11") _, out("x12") _, out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
            options(nostack),
        );
    }
    i32::try_from(result).unwrap_or(i32::MIN)
}
