//! The other CPUs: how they are started, and what they do between jobs.
//!
//! All start at boot, together, by INIT and two SIPIs to everybody (Intel SDM vol. 3, 10.4.4). Then
//! they sleep, online and with interrupts enabled, until the boot CPU has a job for them.

use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::instructions::interrupts as interrupt_flag;
use x86_64::instructions::port::Port;

use super::boot::trampoline;
use super::tables::PHYSICAL_MAP;
use super::{apic, exceptions, interrupts, processor, segments, shootdown};
use crate::cpus;
use crate::layout::MAX_CPUS;

/// The physical page where the others start: 0x8000. It is RAM that the firmware is done with;
/// what the loader may have left in it is put back.
const START_PAGE: u8 = 8;

/// How long to wait for them, in microseconds at least.
const PATIENCE_US: u32 = 10_000_000;

/// Whether there is a job for a CPU that it has not begun.
static WANTED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// How many CPUs the machine has, as QEMU tells (`docs/specs/fw_cfg`): key 5, 16 bits.
fn count_in_machine() -> usize {
    const SELECTOR: u16 = 0x510;
    const DATA: u16 = 0x511;
    const NUMBER_OF_CPUS: u16 = 5;

    // SAFETY: choosing an item touches no memory.
    unsafe { Port::new(SELECTOR).write(NUMBER_OF_CPUS) };
    let byte = || {
        // SAFETY: reading an item has no effect but that the next byte follows.
        unsafe { Port::<u8>::new(DATA).read() }
    };
    usize::from(u16::from_le_bytes([byte(), byte()]))
}

/// Starts all other CPUs, up to [`MAX_CPUS`] in all, and returns how many there are then.
///
/// # Panics
///
/// If some do not come.
pub(crate) fn start() -> u32 {
    let count = count_in_machine().clamp(1, MAX_CPUS);
    let expected = u32::try_from(count).expect("there are few CPUs");
    if count > 1 {
        let page = START_PAGE;
        let place: *mut u8 = {
            let address = PHYSICAL_MAP + u64::from(page) * 4096;
            core::ptr::with_exposed_provenance_mut(usize::try_from(address).expect("a usize has 64 bits"))
        };
        let code = trampoline();
        // SAFETY: the page is mapped RAM, and nothing of the kernel is there.
        let place = unsafe { core::slice::from_raw_parts_mut(place, code.len()) };
        let mut before = [0; 64];
        let before = &mut before[..code.len()];
        before.copy_from_slice(place);
        place.copy_from_slice(code);
        wake_from_reset(page, expected);
        place.copy_from_slice(before);
    }
    let online = shootdown::online_count();
    assert!(online == expected, "{online} of {expected} CPUs have started");
    online
}

/// The sequence of the manual, with its delays, until all are there.
fn wake_from_reset(page: u8, expected: u32) {
    let all_are_there = || shootdown::online_count() == expected;

    apic::reset_others();
    delay_us(10_000, || false);
    apic::start_others(page);
    delay_us(200, all_are_there);
    if !all_are_there() {
        // Those that have started already ignore it.
        apic::start_others(page);
    }
    delay_us(PATIENCE_US, all_are_there);
}

/// Waits so long at least, or until `done`.
fn delay_us(duration_us: u32, done: impl Fn() -> bool) {
    for _ in 0..duration_us {
        if done() {
            return;
        }
        // SAFETY: nothing listens to this port, which is what it is for: an access to it takes about
        // a microsecond.
        unsafe { Port::<u8>::new(0x80).write(0) };
    }
}

/// The first Rust code of each other CPU, on its own stack, and the last.
///
/// # Safety
///
/// For the boot code only, with a number below [`MAX_CPUS`] that no other CPU has.
pub(super) unsafe extern "C" fn secondary(cpu: usize) -> ! {
    segments::load(cpu);
    exceptions::load();
    processor::enable_protections();
    processor::enable_contexts();
    apic::enable();
    shootdown::come_online();
    interrupt_flag::enable();
    loop {
        // Acquire: pairs with `wake`, and the job is what was posted before that.
        interrupts::wait_until(|| WANTED[cpu].swap(false, Ordering::Acquire));
        cpus::run_job();
    }
}

/// Makes the other CPUs, `count` with this one, run the job that was posted.
pub(crate) fn wake(count: u32) {
    for wanted in &WANTED[1..count as usize] {
        wanted.store(true, Ordering::Release);
    }
    if count > 1 {
        apic::interrupt_others(interrupts::WAKE_VECTOR);
    }
}
