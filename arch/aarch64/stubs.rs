//! The text for aarch64. Leaf functions of the procedure call standard, of integers alone: they keep what is to be kept and
//! leave the stack alone, so a way out is a `ret` wherever it is entered from.
//!
//! `ldar` and `stlr` are sequentially consistent among each other; what reads and writes is an exclusive pair of acquire and
//! release, as a compiler has it for that ordering (Arm ARM B2.3.11, B2.9). An exception clears the monitor, so a pair that is
//! interrupted is run again.
//!
//! Alignment: ordinary memory takes any, unless SCTLR_EL1.A says otherwise, which is the kernel's to choose. So accesses of
//! one instruction are aligned, and a copy goes by bytes where it must.

use core::arch::{asm, global_asm};

use crate::arch::access::Width;

/// `x0` is the address, `x1` the value; the answer is in `x0`, and `x1` is 0. Of an exchange `x1` is what must be there, and
/// `x2` the value.
macro_rules! words {
    ($kind:literal) => {
        concat!(
            entry!($kind, "words"),
            entry!($kind, "load_1"),
            "ldrb w0, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "load_2"),
            "ldrh w0, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "load_4"),
            "ldr w0, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "load_8"),
            "ldr x0, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "load_ordered_4"),
            "ldar w0, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "load_ordered_8"),
            "ldar x0, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "store_1"),
            "strb w1, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "store_2"),
            "strh w1, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "store_4"),
            "str w1, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "store_8"),
            "str x1, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "store_release_4"),
            entry!($kind, "store_ordered_4"),
            "stlr w1, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "store_release_8"),
            entry!($kind, "store_ordered_8"),
            "stlr x1, [x0]\n mov x1, xzr\n ret\n",
            entry!($kind, "swap_4"),
            "2:\n ldaxr w3, [x0]\n stlxr w4, w1, [x0]\n cbnz w4, 2b\n mov x0, x3\n mov x1, xzr\n ret\n",
            entry!($kind, "swap_8"),
            "2:\n ldaxr x3, [x0]\n stlxr w4, x1, [x0]\n cbnz w4, 2b\n mov x0, x3\n mov x1, xzr\n ret\n",
            entry!($kind, "add_4"),
            "2:\n ldaxr w3, [x0]\n add w5, w3, w1\n stlxr w4, w5, [x0]\n cbnz w4, 2b\n",
            "mov x0, x3\n mov x1, xzr\n ret\n",
            entry!($kind, "add_8"),
            "2:\n ldaxr x3, [x0]\n add x5, x3, x1\n stlxr w4, x5, [x0]\n cbnz w4, 2b\n",
            "mov x0, x3\n mov x1, xzr\n ret\n",
            entry!($kind, "exchange_4"),
            "2:\n ldaxr w3, [x0]\n cmp w3, w1\n b.ne 3f\n stlxr w4, w2, [x0]\n cbnz w4, 2b\n",
            "mov x0, x3\n mov x1, xzr\n ret\n",
            "3:\n clrex\n mov x0, x3\n mov x1, xzr\n ret\n",
            entry!($kind, "exchange_8"),
            "2:\n ldaxr x3, [x0]\n cmp x3, x1\n b.ne 3f\n stlxr w4, x2, [x0]\n cbnz w4, 2b\n",
            "mov x0, x3\n mov x1, xzr\n ret\n",
            "3:\n clrex\n mov x0, x3\n mov x1, xzr\n ret\n",
        )
    };
}

/// `x2` bytes from `x1` to `x0`, by bytes if `x3` is not 0; how many are left is in `x0`. Wherever a fault comes, the first
/// three say what is still to be done, and the copy by bytes goes on from there, up to the very byte.
macro_rules! copy {
    ($kind:literal) => {
        concat!(
            entry!($kind, "copy_start"),
            entry!($kind, "copy"),
            "cbnz x3, 4f\n",
            "2:\n cmp x2, #32\n b.lo 3f\n",
            "ldp x3, x4, [x1]\n ldp x5, x6, [x1, #16]\n",
            "stp x3, x4, [x0]\n stp x5, x6, [x0, #16]\n",
            "add x1, x1, #32\n add x0, x0, #32\n sub x2, x2, #32\n b 2b\n",
            "3:\n tbz x2, #4, 6f\n",
            "ldp x3, x4, [x1]\n stp x3, x4, [x0]\n",
            "add x1, x1, #16\n add x0, x0, #16\n sub x2, x2, #16\n",
            "6:\n tbz x2, #3, 7f\n",
            "ldr x3, [x1]\n str x3, [x0]\n",
            "add x1, x1, #8\n add x0, x0, #8\n sub x2, x2, #8\n",
            "7:\n tbz x2, #2, 4f\n",
            "ldr w3, [x1]\n str w3, [x0]\n",
            "add x1, x1, #4\n add x0, x0, #4\n sub x2, x2, #4\n",
            entry!($kind, "copy_bytes"),
            "4:\n cbz x2, 5f\n",
            "ldrb w3, [x1]\n strb w3, [x0]\n",
            "add x1, x1, #1\n add x0, x0, #1\n sub x2, x2, #1\n b 4b\n",
            entry!($kind, "end"),
            entry!($kind, "copy_stopped"),
            "5:\n mov x0, x2\n ret\n",
            entry!($kind, "word_stopped"),
            "mov x1, #1\n ret\n",
        )
    };
}

global_asm!(".text", ".balign 16", words!("try_"), copy!("try_"), words!("plain_"), copy!("plain_"));

/// Calls a stub of a word: with an address, and at most two words more. A stub is a leaf, and uses what is named here;
/// a linker that puts a veneer before it uses `x16` and `x17`.
macro_rules! call_word {
    ($stub:path, $at:expr) => {{
        let (value, stopped): (u64, u64);
        core::arch::asm!("bl {stub}", stub = sym $stub, inlateout("x0") $at => value, lateout("x1") stopped,
            lateout("x16") _, lateout("x17") _, lateout("x30") _);
        Answer { value, stopped }
    }};
    ($stub:path, $at:expr, $first:expr) => {{
        let (value, stopped): (u64, u64);
        core::arch::asm!("bl {stub}", stub = sym $stub, inlateout("x0") $at => value, inlateout("x1") $first => stopped,
            lateout("x3") _, lateout("x4") _, lateout("x5") _, lateout("x16") _, lateout("x17") _, lateout("x30") _);
        Answer { value, stopped }
    }};
    ($stub:path, $at:expr, $first:expr, $second:expr) => {{
        let (value, stopped): (u64, u64);
        core::arch::asm!("bl {stub}", stub = sym $stub, inlateout("x0") $at => value, inlateout("x1") $first => stopped,
            in("x2") $second, lateout("x3") _, lateout("x4") _, lateout("x5") _,
            lateout("x16") _, lateout("x17") _, lateout("x30") _);
        Answer { value, stopped }
    }};
}
pub(super) use call_word;

/// Calls a stub that copies. How many bytes are left.
macro_rules! call_copy {
    ($stub:path, $to:expr, $from:expr, $bytes:expr, $strict:expr) => {{
        let left: usize;
        let to: u64 = $to;
        core::arch::asm!("bl {stub}", stub = sym $stub, inlateout("x0") to => left, inlateout("x1") $from => _,
            inlateout("x2") $bytes => _, inlateout("x3") $strict => _, lateout("x4") _, lateout("x5") _, lateout("x6") _,
            lateout("x16") _, lateout("x17") _, lateout("x30") _);
        left
    }};
}
pub(super) use call_copy;

/// Whether one instruction may access so many bytes there, whatever SCTLR_EL1.A says.
#[inline(always)]
pub(super) const fn takes_any_alignment(at: u64, width: Width) -> bool {
    at % width.bytes() as u64 == 0
}

/// Whether a copy between addresses, of which this is the disjunction, must go by bytes.
#[inline(always)]
pub(super) fn is_strict(addresses: u64) -> bool {
    addresses % 8 != 0 && checks_alignment()
}

/// SCTLR_EL1.A.
#[cfg(not(any(unix, windows)))]
fn checks_alignment() -> bool {
    use aarch64_cpu::registers::{Readable, SCTLR_EL1};
    SCTLR_EL1.is_set(SCTLR_EL1::A)
}

/// Programs may access memory at any alignment.
#[cfg(any(unix, windows))]
fn checks_alignment() -> bool {
    false
}

/// A load that runs over a missing page.
///
/// # Safety
/// The bytes lie in the window or the upper guard of a shared arena, whose faults are handled, and are aligned.
#[inline(always)]
pub(super) unsafe fn load(at: u64, width: Width) -> u64 {
    let value: u64;
    macro_rules! load {
        ($instruction:literal) => {
            // SAFETY: as the caller vouches; it reads these bytes of a window and nothing else.
            unsafe {
                asm!($instruction, at = in(reg) at, value = lateout(reg) value,
                    options(nostack, preserves_flags, readonly));
            }
        };
    }
    match width {
        Width::One => load!("ldrb {value:w}, [{at}]"),
        Width::Two => load!("ldrh {value:w}, [{at}]"),
        Width::Four => load!("ldr {value:w}, [{at}]"),
        Width::Eight => load!("ldr {value:x}, [{at}]"),
    }
    value
}

/// A store that runs over a missing page.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
pub(super) unsafe fn store(at: u64, width: Width, value: u64) {
    macro_rules! store {
        ($instruction:literal) => {
            // SAFETY: as the caller vouches; it writes these bytes of a window and nothing else.
            unsafe {
                asm!($instruction, at = in(reg) at, value = in(reg) value, options(nostack, preserves_flags));
            }
        };
    }
    match width {
        Width::One => store!("strb {value:w}, [{at}]"),
        Width::Two => store!("strh {value:w}, [{at}]"),
        Width::Four => store!("str {value:w}, [{at}]"),
        Width::Eight => store!("str {value:x}, [{at}]"),
    }
}
