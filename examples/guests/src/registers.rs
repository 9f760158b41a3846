//! All registers, filled before the kernel is entered and looked at afterwards.
//!
//! The compiler cannot be asked to keep a value in each of them, so each way into the kernel has a function in assembly: it loads all
//! registers with values, does the one thing, and stores all of them where no register is needed to find it, or as few as can be.

use core::arch::naked_asm;
use core::cell::UnsafeCell;

use guests::abi::{CALLS, LOADS, TELL, WAITS};

/// The general registers without the stack pointer, and three of them: the number of a system call, its result (and first
/// argument on aarch64), and those of a load, address and value.
#[cfg(target_arch = "x86_64")]
const COUNT: usize = 15;
#[cfg(target_arch = "x86_64")]
const PLACES: Places = Places { number: 0, result: 0, address: 5, value: 0 };
#[cfg(target_arch = "aarch64")]
const COUNT: usize = 31;
#[cfg(target_arch = "aarch64")]
const PLACES: Places = Places { number: 8, result: 0, address: 0, value: 1 };

/// Which registers do what, by their places in [`Found`].
struct Places {
    number: usize,
    result: usize,
    address: usize,
    value: usize,
}

/// What all registers held afterwards, last the stack pointer; then, what that was before.
#[repr(C)]
struct Found(UnsafeCell<[u64; COUNT + 2]>);

// SAFETY: a program has one thread.
unsafe impl Sync for Found {}

static FOUND: Found = Found(UnsafeCell::new([0; COUNT + 2]));

/// Fills all registers with numbers of this seed, does one of the three things (at an address), and ends with a bit for each
/// register that is not as it should be, the stack pointer's above the others'.
pub(crate) fn lost(thing: u64, seed: u64, address: u64) -> u64 {
    // Odd factors: no two are the same, and none is small.
    let mut values: [u64; COUNT] =
        core::array::from_fn(|place| (seed << 8 | place as u64 | 1 << 7).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (does, result, answer): (unsafe extern "C" fn(&[u64; COUNT]), _, _) = match thing {
        CALLS => {
            values[PLACES.number] = TELL;
            (calls, PLACES.result, 0)
        }
        LOADS => {
            values[PLACES.address] = address;
            (loads, PLACES.value, 0)
        }
        WAITS => {
            values[PLACES.address] = address;
            (waits, PLACES.value, 1)
        }
        _ => return u64::MAX,
    };
    // SAFETY: it gives back those registers that a function has to.
    unsafe { does(&values) };
    // SAFETY: nobody writes it now.
    let found = unsafe { *FOUND.0.get() };
    values[result] = answer;
    let wanted = values.iter().chain(&found[COUNT + 1..]);
    let differs = found.iter().zip(wanted).enumerate().filter(|(_, (found, wanted))| found != wanted);
    differs.map(|(place, _)| 1 << place).sum()
}

/// A function that fills the registers, does something, and stores them.
#[cfg(target_arch = "x86_64")]
macro_rules! with_all_registers {
    ($name:ident: $($does:literal),+) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(values: &[u64; COUNT]) {
            naked_asm!(
                "push rbx",
                "push rbp",
                "push r12",
                "push r13",
                "push r14",
                "push r15",
                "mov [rip + {FOUND} + 128], rsp",
                "mov rax, [rdi]",
                "mov rbx, [rdi + 8]",
                "mov rcx, [rdi + 16]",
                "mov rdx, [rdi + 24]",
                "mov rsi, [rdi + 32]",
                "mov rbp, [rdi + 48]",
                "mov r8, [rdi + 56]",
                "mov r9, [rdi + 64]",
                "mov r10, [rdi + 72]",
                "mov r11, [rdi + 80]",
                "mov r12, [rdi + 88]",
                "mov r13, [rdi + 96]",
                "mov r14, [rdi + 104]",
                "mov r15, [rdi + 112]",
                "mov rdi, [rdi + 40]",
                $($does,)+
                "mov [rip + {FOUND}], rax",
                "mov [rip + {FOUND} + 8], rbx",
                "mov [rip + {FOUND} + 16], rcx",
                "mov [rip + {FOUND} + 24], rdx",
                "mov [rip + {FOUND} + 32], rsi",
                "mov [rip + {FOUND} + 40], rdi",
                "mov [rip + {FOUND} + 48], rbp",
                "mov [rip + {FOUND} + 56], r8",
                "mov [rip + {FOUND} + 64], r9",
                "mov [rip + {FOUND} + 72], r10",
                "mov [rip + {FOUND} + 80], r11",
                "mov [rip + {FOUND} + 88], r12",
                "mov [rip + {FOUND} + 96], r13",
                "mov [rip + {FOUND} + 104], r14",
                "mov [rip + {FOUND} + 112], r15",
                "mov [rip + {FOUND} + 120], rsp",
                "mov rsp, [rip + {FOUND} + 128]",
                "pop r15",
                "pop r14",
                "pop r13",
                "pop r12",
                "pop rbp",
                "pop rbx",
                "ret",
                FOUND = sym FOUND,
            )
        }
    };
}

#[cfg(target_arch = "x86_64")]
with_all_registers!(calls: "int 0x80");
#[cfg(target_arch = "x86_64")]
with_all_registers!(loads: "mov rax, [rdi]");
#[cfg(target_arch = "x86_64")]
with_all_registers!(waits: "2:", "mov rax, [rdi]", "test rax, rax", "jz 2b");

/// A function that fills the registers, does something, and stores them.
#[cfg(target_arch = "aarch64")]
macro_rules! with_all_registers {
    ($name:ident: $($does:literal),+) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(values: &[u64; COUNT]) {
            naked_asm!(
                "sub sp, sp, #112",
                "stp x18, x19, [sp]",
                "stp x20, x21, [sp, #16]",
                "stp x22, x23, [sp, #32]",
                "stp x24, x25, [sp, #48]",
                "stp x26, x27, [sp, #64]",
                "stp x28, x29, [sp, #80]",
                "str x30, [sp, #96]",
                "adrp x9, {FOUND}",
                "add x9, x9, :lo12:{FOUND}",
                "mov x10, sp",
                "str x10, [x9, #256]",
                "ldp x2, x3, [x0, #16]",
                "ldp x4, x5, [x0, #32]",
                "ldp x6, x7, [x0, #48]",
                "ldp x8, x9, [x0, #64]",
                "ldp x10, x11, [x0, #80]",
                "ldp x12, x13, [x0, #96]",
                "ldp x14, x15, [x0, #112]",
                "ldp x16, x17, [x0, #128]",
                "ldp x18, x19, [x0, #144]",
                "ldp x20, x21, [x0, #160]",
                "ldp x22, x23, [x0, #176]",
                "ldp x24, x25, [x0, #192]",
                "ldp x26, x27, [x0, #208]",
                "ldp x28, x29, [x0, #224]",
                "ldr x30, [x0, #240]",
                "ldp x0, x1, [x0]",
                $($does,)+
                // Two are needed to find the place; a stack pointer that was lost faults here, or shows there.
                "stp x0, x1, [sp, #-16]!",
                "adrp x0, {FOUND}",
                "add x0, x0, :lo12:{FOUND}",
                "stp x2, x3, [x0, #16]",
                "stp x4, x5, [x0, #32]",
                "stp x6, x7, [x0, #48]",
                "stp x8, x9, [x0, #64]",
                "stp x10, x11, [x0, #80]",
                "stp x12, x13, [x0, #96]",
                "stp x14, x15, [x0, #112]",
                "stp x16, x17, [x0, #128]",
                "stp x18, x19, [x0, #144]",
                "stp x20, x21, [x0, #160]",
                "stp x22, x23, [x0, #176]",
                "stp x24, x25, [x0, #192]",
                "stp x26, x27, [x0, #208]",
                "stp x28, x29, [x0, #224]",
                "ldp x1, x2, [sp], #16",
                "stp x1, x2, [x0]",
                "mov x1, sp",
                "stp x30, x1, [x0, #240]",
                "ldr x1, [x0, #256]",
                "mov sp, x1",
                "ldp x18, x19, [sp]",
                "ldp x20, x21, [sp, #16]",
                "ldp x22, x23, [sp, #32]",
                "ldp x24, x25, [sp, #48]",
                "ldp x26, x27, [sp, #64]",
                "ldp x28, x29, [sp, #80]",
                "ldr x30, [sp, #96]",
                "add sp, sp, #112",
                "ret",
                FOUND = sym FOUND,
            )
        }
    };
}

#[cfg(target_arch = "aarch64")]
with_all_registers!(calls: "svc #0");
#[cfg(target_arch = "aarch64")]
with_all_registers!(loads: "ldr x1, [x0]");
#[cfg(target_arch = "aarch64")]
with_all_registers!(waits: "2:", "ldr x1, [x0]", "cbz x1, 2b");
