//! How a kernel ends: QEMU exits, with a status that says whether the kernel was content.
//!
//! The two statuses are the same on both architectures, and neither is one that QEMU
//! itself uses: a crash of the emulator, a triple fault (status 0 under `-no-reboot`) or a
//! missing exit device never looks like a pass.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch;

/// How a kernel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ExitCode {
    /// All went well. QEMU's exit status is 33.
    Passed,
    /// Something did not. QEMU's exit status is 35.
    Failed,
}

impl ExitCode {
    /// QEMU's exit status.
    #[must_use]
    pub const fn status(self) -> u32 {
        match self {
            Self::Passed => 33,
            Self::Failed => 35,
        }
    }
}

/// Ends QEMU, with the exit status of `code`. If QEMU was started without the device for that,
/// the kernel stops, and it is for whoever started QEMU to lose patience.
pub fn exit(code: ExitCode) -> ! {
    static EXITING: AtomicBool = AtomicBool::new(false);

    // Without the device the attempt may itself be an exception, whose handler comes here again.
    while EXITING.swap(true, Ordering::Relaxed) {
        arch::wait();
    }
    arch::exit(code.status())
}
