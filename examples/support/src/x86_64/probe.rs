//! The instructions behind the `probe_*` functions.
//!
//! The first instruction of each is the access. If it is given up, the kernel goes on at
//! [`given_up`], which returns to the same caller: nothing was pushed yet.

use core::arch::naked_asm;

use crate::probe::Probed;

macro_rules! reads {
    ($($name:ident -> $type:ident = $access:literal;)*) => {$(
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name(address: u64) -> Probed<$type> {
            naked_asm!($access, "mov edx, 1", "ret")
        }
    )*};
}

macro_rules! writes {
    ($($name:ident($type:ident) = $access:literal;)*) => {$(
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name(address: u64, value: $type) -> Probed<$type> {
            naked_asm!($access, "mov edx, 1", "ret")
        }
    )*};
}

reads! {
    read_u8 -> u8 = "movzx eax, byte ptr [rdi]";
    read_u32 -> u32 = "mov eax, dword ptr [rdi]";
    read_u64 -> u64 = "mov rax, qword ptr [rdi]";
}

writes! {
    write_u8(u8) = "mov byte ptr [rdi], sil";
    write_u32(u32) = "mov dword ptr [rdi], esi";
    write_u64(u64) = "mov qword ptr [rdi], rsi";
}

/// The instructions of a function that returns as an access that happened.
pub(crate) const SAYS_DONE: &[u8] = &[0xba, 1, 0, 0, 0, 0xc3]; // mov edx, 1; ret

/// Returns from any of the above, as an access that did not happen.
#[unsafe(naked)]
pub(crate) extern "C" fn given_up() {
    naked_asm!("xor eax, eax", "xor edx, edx", "ret")
}
