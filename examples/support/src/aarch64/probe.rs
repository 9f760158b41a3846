//! The instructions behind the `probe_*` functions.
//!
//! The first instruction of each is the access. If it is given up, the kernel goes on at
//! [`given_up`], which returns to the same caller: the link register still names it.

use core::arch::naked_asm;

use crate::probe::Probed;

macro_rules! reads {
    ($($name:ident -> $type:ident = $access:literal;)*) => {$(
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name(address: u64) -> Probed<$type> {
            naked_asm!($access, "mov x1, #1", "ret")
        }
    )*};
}

macro_rules! writes {
    ($($name:ident($type:ident) = $access:literal;)*) => {$(
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name(address: u64, value: $type) -> Probed<$type> {
            naked_asm!($access, "mov x1, #1", "ret")
        }
    )*};
}

reads! {
    read_u8 -> u8 = "ldrb w0, [x0]";
    read_u32 -> u32 = "ldr w0, [x0]";
    read_u64 -> u64 = "ldr x0, [x0]";
}

writes! {
    write_u8(u8) = "strb w1, [x0]";
    write_u32(u32) = "str w1, [x0]";
    write_u64(u64) = "str x1, [x0]";
}

/// The instructions of a function that returns as an access that happened.
pub(crate) const SAYS_DONE: &[u8] = &[0x21, 0, 0x80, 0xd2, 0xc0, 3, 0x5f, 0xd6]; // mov x1, #1; ret

/// Returns from any of the above, as an access that did not happen.
#[unsafe(naked)]
pub(crate) extern "C" fn given_up() {
    naked_asm!("mov x0, #0", "mov x1, #0", "ret")
}
