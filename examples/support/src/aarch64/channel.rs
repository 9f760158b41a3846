//! The channel of the log: a file on the host, written by semihosting.
//!
//! `virt` has no second serial port without the secure world, and a device on its PCI bus would take more code than this. The
//! word `defmt=PATH`, the last one on the command line, says which file, from QEMU's working directory on; a named pipe will do.
//! Without it nothing is sent.

use core::sync::atomic::{AtomicU64, Ordering};

use super::semihosting;
use crate::console::print_soon;

/// What precedes the path, which goes on to the end of the line.
const WORD: &str = "defmt=";

/// The open file, or [`CLOSED`]. Relaxed: it is set before there are other CPUs.
static HANDLE: AtomicU64 = AtomicU64::new(CLOSED);
const CLOSED: u64 = u64::MAX;

/// Opens the file that the command line names.
pub(crate) fn open(command_line: &str) {
    let Some((_, path)) = command_line.split_once(WORD) else { return };
    match semihosting::create(path) {
        Some(handle) => HANDLE.store(handle, Ordering::Relaxed),
        None => print_soon(format_args!("no log: the host cannot write to {path}\n")),
    }
}

/// Sends bytes, none of which is kept back.
pub(crate) fn send(bytes: &[u8]) {
    let handle = HANDLE.load(Ordering::Relaxed);
    if handle != CLOSED {
        semihosting::write(handle, bytes);
    }
}
