//! The kernel's command line, which QEMU gives by semihosting.
//!
//! QEMU makes it of the kernel's file name and the words of `-append`; the file name is dropped
//! here, so that kernels see the same on both architectures.

use core::arch::asm;
use core::ffi::CStr;

use spin::Once;

/// The operation that fetches the command line (Arm semihosting specification, 6.8).
const SYS_GET_CMDLINE: u64 = 0x15;

const CAPACITY_BYTES: usize = 1024;

/// What the operation takes and changes: where to write, and how much.
#[repr(C)]
struct Block {
    buffer: *mut u8,
    size_bytes: u64,
}

/// The command line, without the program's name. Empty without semihosting.
pub(super) fn command_line() -> &'static str {
    static TEXT: Once<[u8; CAPACITY_BYTES]> = Once::new();

    let text = TEXT.call_once(fetch);
    let line = CStr::from_bytes_until_nul(text).map_or("", |line| line.to_str().unwrap_or(""));
    match line.trim().split_once(' ') {
        Some((_program, arguments)) => arguments.trim_start(),
        None => "",
    }
}

/// The whole command line, zero at its end.
fn fetch() -> [u8; CAPACITY_BYTES] {
    let mut text = [0; CAPACITY_BYTES];
    let mut block = Block { buffer: text.as_mut_ptr(), size_bytes: CAPACITY_BYTES as u64 };
    let result: u64;
    // SAFETY: the operation writes to the block and to the buffer it names, within the size
    // given.
    unsafe {
        asm!(
            "hlt #0xf000",
            inout("x0") SYS_GET_CMDLINE => result,
            in("x1") &raw mut block,
            options(nostack),
        );
    }
    if result == 0 { text } else { [0; CAPACITY_BYTES] }
}
