//! What QEMU does for the kernel by semihosting: it gives the command line, and writes files of the host.
//!
//! QEMU makes the command line of the kernel's file name and the words of `-append`; the file name is
//! dropped here, so that kernels see the same on both architectures.

use core::arch::asm;
use core::ffi::CStr;

use spin::Once;

/// Operations (Arm semihosting specification, 6.8, 6.14 and 6.22).
const SYS_GET_CMDLINE: u64 = 0x15;
#[cfg(feature = "defmt")]
const SYS_OPEN: u64 = 0x01;
#[cfg(feature = "defmt")]
const SYS_WRITE: u64 = 0x05;

/// The mode of `SYS_OPEN` that creates a file, or empties it: C's `wb`.
#[cfg(feature = "defmt")]
const WRITE_BINARY: u64 = 5;

/// For the paths of the kernel and its log, and the names of some dozens of tests.
const CAPACITY_BYTES: usize = 4096;

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
    let mut block = [text.as_mut_ptr().expose_provenance() as u64, CAPACITY_BYTES as u64];
    // SAFETY: the operation writes to the block and to the buffer it names, within the size given.
    let result = unsafe { call(SYS_GET_CMDLINE, &mut block) };
    if result == 0 { text } else { [0; CAPACITY_BYTES] }
}

/// Creates a file of the host, or empties it. Gives the handle to write to it.
#[cfg(feature = "defmt")]
pub(super) fn create(path: &str) -> Option<u64> {
    let mut name = [0; CAPACITY_BYTES];
    // The last byte stays zero.
    name[..CAPACITY_BYTES - 1].get_mut(..path.len())?.copy_from_slice(path.as_bytes());
    let mut block = [name.as_ptr().expose_provenance() as u64, WRITE_BINARY, path.len() as u64];
    // SAFETY: the operation reads the block and the name, which has a zero at its end.
    let handle = unsafe { call(SYS_OPEN, &mut block) };
    (handle != u64::MAX).then_some(handle)
}

/// Writes to a file. What the host does not take is lost.
#[cfg(feature = "defmt")]
pub(super) fn write(handle: u64, bytes: &[u8]) {
    let mut block = [handle, bytes.as_ptr().expose_provenance() as u64, bytes.len() as u64];
    // SAFETY: the operation reads the block and the bytes.
    unsafe { call(SYS_WRITE, &mut block) };
}

/// Calls QEMU with a block of arguments.
///
/// # Safety
///
/// The operation touches no memory that it must not; all that the block points to has been exposed.
unsafe fn call<const WORDS: usize>(operation: u64, block: &mut [u64; WORDS]) -> u64 {
    let result: u64;
    // SAFETY: the caller answers for what the operation does to memory; it changes no other register.
    unsafe {
        asm!(
            "hlt #0xf000",
            inout("x0") operation => result,
            in("x1") block.as_mut_ptr(),
            options(nostack),
        );
    }
    result
}
