//! The text for x86_64. Functions of the System V convention, on every target: they keep what is to be kept, push nothing and
//! leave the red zone alone, so a way out is a `ret` wherever it is entered from.
//!
//! Loads acquire and stores release; `lock`ed instructions and `xchg` are sequentially consistent (Intel SDM vol. 3, 10.2.3).
//! The processor takes any alignment in kernel mode (7.3, "alignment check exception": at CPL 3 alone).

use core::arch::{asm, global_asm};

use crate::arch::access::Width;

/// `rdi` is the address, `rsi` the value; the answer is in `rax`, and `edx` is 0. Of an exchange `rsi` is what must be there,
/// and `rdx` the value.
macro_rules! words {
    ($kind:literal) => {
        concat!(
            entry!($kind, "words"),
            entry!($kind, "load_1"),
            "xor edx, edx\n movzx eax, byte ptr [rdi]\n ret\n",
            entry!($kind, "load_2"),
            "xor edx, edx\n movzx eax, word ptr [rdi]\n ret\n",
            entry!($kind, "load_4"),
            entry!($kind, "load_ordered_4"),
            "xor edx, edx\n mov eax, dword ptr [rdi]\n ret\n",
            entry!($kind, "load_8"),
            entry!($kind, "load_ordered_8"),
            "xor edx, edx\n mov rax, qword ptr [rdi]\n ret\n",
            entry!($kind, "store_1"),
            "xor edx, edx\n mov byte ptr [rdi], sil\n ret\n",
            entry!($kind, "store_2"),
            "xor edx, edx\n mov word ptr [rdi], si\n ret\n",
            entry!($kind, "store_4"),
            entry!($kind, "store_release_4"),
            "xor edx, edx\n mov dword ptr [rdi], esi\n ret\n",
            entry!($kind, "store_8"),
            entry!($kind, "store_release_8"),
            "xor edx, edx\n mov qword ptr [rdi], rsi\n ret\n",
            entry!($kind, "swap_4"),
            entry!($kind, "store_ordered_4"),
            "xor edx, edx\n mov eax, esi\n xchg dword ptr [rdi], eax\n ret\n",
            entry!($kind, "swap_8"),
            entry!($kind, "store_ordered_8"),
            "xor edx, edx\n mov rax, rsi\n xchg qword ptr [rdi], rax\n ret\n",
            entry!($kind, "add_4"),
            "xor edx, edx\n mov eax, esi\n lock xadd dword ptr [rdi], eax\n ret\n",
            entry!($kind, "add_8"),
            "xor edx, edx\n mov rax, rsi\n lock xadd qword ptr [rdi], rax\n ret\n",
            entry!($kind, "exchange_4"),
            "mov ecx, edx\n xor edx, edx\n mov eax, esi\n lock cmpxchg dword ptr [rdi], ecx\n ret\n",
            entry!($kind, "exchange_8"),
            "mov rcx, rdx\n xor edx, edx\n mov rax, rsi\n lock cmpxchg qword ptr [rdi], rcx\n ret\n",
        )
    };
}

/// `rdx` bytes from `rsi` to `rdi`; how many are left is in `rax`. Wherever a fault comes, `rdi`, `rsi` and `rcx` say what is
/// still to be done, and the copy by bytes goes on from there, up to the very byte.
macro_rules! copy {
    ($kind:literal) => {
        concat!(
            entry!($kind, "copy_start"),
            entry!($kind, "copy"),
            "mov rcx, rdx\n cmp rcx, 32\n jb 6f\n cmp rcx, 512\n jae 5f\n",
            "2:\n mov rax, qword ptr [rsi]\n mov r8, qword ptr [rsi + 8]\n",
            "mov r9, qword ptr [rsi + 16]\n mov r10, qword ptr [rsi + 24]\n",
            "mov qword ptr [rdi], rax\n mov qword ptr [rdi + 8], r8\n",
            "mov qword ptr [rdi + 16], r9\n mov qword ptr [rdi + 24], r10\n",
            "add rsi, 32\n add rdi, 32\n sub rcx, 32\n cmp rcx, 32\n jae 2b\n",
            "test rcx, rcx\n jz 3f\n",
            "6:\n test cl, 16\n jz 7f\n",
            "mov rax, qword ptr [rsi]\n mov r8, qword ptr [rsi + 8]\n",
            "mov qword ptr [rdi], rax\n mov qword ptr [rdi + 8], r8\n",
            "add rsi, 16\n add rdi, 16\n sub rcx, 16\n jz 3f\n",
            "7:\n test cl, 8\n jz 8f\n",
            "mov rax, qword ptr [rsi]\n mov qword ptr [rdi], rax\n",
            "add rsi, 8\n add rdi, 8\n sub rcx, 8\n",
            "8:\n test cl, 4\n jz 3f\n",
            "mov eax, dword ptr [rsi]\n mov dword ptr [rdi], eax\n",
            "add rsi, 4\n add rdi, 4\n sub rcx, 4\n jmp 3f\n",
            "5:\n rep movsb\n",
            entry!($kind, "copy_bytes"),
            "3:\n test rcx, rcx\n jz 4f\n",
            "movzx eax, byte ptr [rsi]\n mov byte ptr [rdi], al\n",
            "inc rsi\n inc rdi\n dec rcx\n jmp 3b\n",
            entry!($kind, "end"),
            entry!($kind, "copy_stopped"),
            "4:\n mov rax, rcx\n ret\n",
            entry!($kind, "word_stopped"),
            "mov edx, 1\n ret\n",
        )
    };
}

global_asm!(".text", ".balign 16", words!("try_"), copy!("try_"), words!("plain_"), copy!("plain_"));

/// Calls a stub of a word: with an address, and at most two words more. A stub is a leaf, and uses what is named here.
macro_rules! call_word {
    ($stub:path, $at:expr) => {{
        let (value, stopped): (u64, u64);
        core::arch::asm!("call {stub}", stub = sym $stub, in("rdi") $at, lateout("rax") value, lateout("rdx") stopped);
        Answer { value, stopped }
    }};
    ($stub:path, $at:expr, $first:expr) => {{
        let (value, stopped): (u64, u64);
        core::arch::asm!("call {stub}", stub = sym $stub, in("rdi") $at, in("rsi") $first,
            lateout("rax") value, lateout("rdx") stopped);
        Answer { value, stopped }
    }};
    ($stub:path, $at:expr, $first:expr, $second:expr) => {{
        let (value, stopped): (u64, u64);
        core::arch::asm!("call {stub}", stub = sym $stub, in("rdi") $at, in("rsi") $first,
            inlateout("rdx") $second => stopped, lateout("rax") value, lateout("rcx") _);
        Answer { value, stopped }
    }};
}
pub(super) use call_word;

/// Calls a stub that copies. How many bytes are left.
macro_rules! call_copy {
    ($stub:path, $to:expr, $from:expr, $bytes:expr, $_strict:expr) => {{
        let left: usize;
        let _any_alignment_will_do = $_strict;
        core::arch::asm!("call {stub}", stub = sym $stub, inlateout("rdi") $to => _, inlateout("rsi") $from => _,
            inlateout("rdx") $bytes => _, lateout("rax") left, lateout("rcx") _,
            lateout("r8") _, lateout("r9") _, lateout("r10") _);
        left
    }};
}
pub(super) use call_copy;

/// Any alignment will do.
#[inline(always)]
pub(super) const fn takes_any_alignment(_at: u64, _width: Width) -> bool {
    true
}

/// Whether a copy between such addresses must go by bytes: never.
#[inline(always)]
pub(super) const fn is_strict(_addresses: u64) -> bool {
    false
}

/// A load that runs over a missing page.
///
/// # Safety
/// The bytes lie in the window or the upper guard of a shared arena, whose faults are handled.
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
        Width::One => load!("movzx {value:e}, byte ptr [{at}]"),
        Width::Two => load!("movzx {value:e}, word ptr [{at}]"),
        Width::Four => load!("mov {value:e}, dword ptr [{at}]"),
        Width::Eight => load!("mov {value}, qword ptr [{at}]"),
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
                asm!($instruction, at = in(reg) at, value = in(reg_abcd) value, options(nostack, preserves_flags));
            }
        };
    }
    match width {
        Width::One => store!("mov byte ptr [{at}], {value:l}"),
        Width::Two => store!("mov word ptr [{at}], {value:x}"),
        Width::Four => store!("mov dword ptr [{at}], {value:e}"),
        Width::Eight => store!("mov qword ptr [{at}], {value}"),
    }
}
