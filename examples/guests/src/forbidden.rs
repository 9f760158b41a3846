//! Instructions that are a kernel's alone, and flags that a kernel must not take over.

use core::arch::asm;

use guests::abi::TELL;

/// Runs one instruction, or a few.
#[cfg(target_arch = "x86_64")]
macro_rules! instructions {
    ($($line:literal),+) => {
        // SAFETY: the processor refuses, or the kernel ends the program; if neither does, a check of the kernel's fails.
        unsafe { asm!($($line),+, out("eax") _, out("ecx") _, out("edx") _) }
    };
}

/// Does a forbidden thing, of `abi::FORBIDDEN`.
#[cfg(target_arch = "x86_64")]
pub(crate) fn do_it(which: u64) {
    match which {
        0 => instructions!("cli"),
        1 => instructions!("hlt"),
        2 => instructions!("mov rax, cr3"),
        3 => instructions!("ud2"),
        // An interrupt of the kernel's own, which has a gate.
        4 => instructions!("int 64"),
        5 => instructions!("in al, 0x60"),
        6 => instructions!("wrmsr"),
        // Floating point, whose registers nobody saves.
        7 => instructions!("fninit"),
        // A step at a time.
        _ => instructions!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop"),
    }
}

/// Sets the direction flag, and the flag with which SMAP is off, for a system call; whether they are as they were after it.
#[cfg(target_arch = "x86_64")]
pub(crate) fn flags_are_kept() -> bool {
    const FLAGS: u64 = 1 << 10 | 1 << 18;
    let after: u64;
    // SAFETY: no instruction here depends on the flags, and they are as the compiler wants them at the end.
    unsafe {
        asm!(
            "pushfq",
            "or qword ptr [rsp], {FLAGS}",
            "popfq",
            "int 0x80",
            "pushfq",
            "pop {after}",
            "push 2",
            "popfq",
            FLAGS = const FLAGS,
            after = out(reg) after,
            inout("rax") TELL => _,
            in("rdi") 0_u64,
        );
    }
    after & FLAGS == FLAGS
}

/// Runs one instruction.
#[cfg(target_arch = "aarch64")]
macro_rules! instructions {
    ($line:literal) => {
        // SAFETY: the processor refuses, or the kernel ends the program; if neither does, a check of the kernel's fails.
        unsafe { asm!($line, out("x0") _) }
    };
}

/// Does a forbidden thing, of `abi::FORBIDDEN`.
#[cfg(target_arch = "aarch64")]
pub(crate) fn do_it(which: u64) {
    match which {
        0 => instructions!("msr daifset, #2"),
        1 => instructions!("mrs x0, ttbr0_el1"),
        2 => instructions!("tlbi vmalle1"),
        3 => instructions!("udf #0"),
        4 => instructions!("brk #0"),
        5 => instructions!("hvc #0"),
        6 => instructions!("msr sctlr_el1, x0"),
        // Floating point (`fmov d0, x0`), whose registers nobody saves.
        7 => instructions!(".inst 0x9e670000"),
        // An interrupt to other CPUs.
        _ => instructions!("msr icc_sgi1r_el1, x0"),
    }
}

/// Sets the condition flags for a system call; whether they are as they were after it.
#[cfg(target_arch = "aarch64")]
pub(crate) fn flags_are_kept() -> bool {
    const FLAGS: u64 = 0b1010 << 28;
    let after: u64;
    // SAFETY: a system call, which changes X0 alone.
    unsafe {
        asm!("msr nzcv, {flags}", "svc #0", "mrs {after}, nzcv", flags = in(reg) FLAGS, after = lateout(reg) after,
             in("x8") TELL, inout("x0") 0_u64 => _, options(nostack));
    }
    after == FLAGS
}
