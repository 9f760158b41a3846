//! How a kernel ends: QEMU exits, with a status that says whether the kernel was content.
//!
//! The two statuses are the same on both architectures, and neither is one that QEMU
//! itself uses: a crash of the emulator, a triple fault (status 0 under `-no-reboot`) or a
//! missing exit device never looks like a pass.
//!
//! One CPU ends the machine: the first that exits, panics or has a fault that nobody repairs. The
//! others stop where they would print or end it too, so that its last words are the last.

use core::fmt::Arguments;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::arch::{self, current, park};
use crate::console::print_soon;

/// The CPU that ends the machine, or [`NOBODY`].
static ENDING: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

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
    begin();
    leave(code)
}

/// Prints last words and ends QEMU as failed. From any context.
pub(crate) fn fail(words: Arguments<'_>) -> ! {
    // Words that themselves fail are not tried again.
    if begin() == Begun::First {
        print_soon(words);
    }
    leave(ExitCode::Failed)
}

/// Whether another CPU is ending the machine.
pub(crate) fn is_ending_elsewhere() -> bool {
    let ending = ENDING.load(Ordering::Relaxed);
    ending != NOBODY && ending != current()
}

#[derive(PartialEq, Eq)]
enum Begun {
    First,
    Again,
}

/// Makes this the CPU that ends the machine; never returns if another one is.
fn begin() -> Begun {
    match ENDING.compare_exchange(NOBODY, current(), Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Begun::First,
        Err(cpu) if cpu == current() => Begun::Again,
        Err(_) => park(),
    }
}

fn leave(code: ExitCode) -> ! {
    static LEAVING: AtomicBool = AtomicBool::new(false);

    // Without the device the attempt may itself be an exception, whose handler comes here again.
    if LEAVING.swap(true, Ordering::Relaxed) {
        park();
    }
    arch::exit(code.status())
}
