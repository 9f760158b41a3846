//! User mode: address spaces, and threads that run in them.
//!
//! A [`Thread`] is a set of registers. [`Thread::run`] loads an address space, enters user mode and comes back when the
//! program makes a system call, faults, raises another exception or is interrupted: what it did is the [`Event`], a value, and
//! the kernel goes on where it called. So a program is a loop in the kernel's own code, on the CPU and the stack that run it; there is
//! no scheduler. Shootdowns and the like are answered on the way, and the program never knows.
//!
//! The program's root is loaded only while it runs: whoever holds an [`AddressSpace`] that no thread runs in may drop it, and all its
//! frames go back.
//!
//! # System calls
//! `int 0x80` on x86_64, with the number in RAX, arguments in RDI, RSI, RDX and R10, the result in RAX; `svc #0` on aarch64, with
//! the number in X8, arguments in X0 to X3, the result in X0. All other registers stay as they are.

mod space;

pub use space::{AddressSpace, Rights};
pub(crate) use space::{entries, zeroed};

use crate::arch;
use crate::arch::user::Registers;
use crate::fault::FaultFrame;
use crate::layout::{PROGRAM_BYTES, PROGRAM_OFFSET};

/// The registers of a program.
#[derive(Debug)]
pub struct Thread {
    registers: Registers,
}

/// Why a program came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It made a system call, and waits for the [answer](Thread::answer).
    Call {
        /// Which.
        number: u64,
        /// With what.
        arguments: [u64; 4],
    },
    /// A page fault, or an abort: run again, the instruction is tried again.
    Fault(FaultFrame),
    /// The kernel's interrupt handler has run ([`set_interrupt_handler`](crate::set_interrupt_handler)): the program was in the
    /// middle of something, and goes on when it is run again.
    Interrupted,
    /// Another exception: a program that is run again raises it again, or goes on behind it.
    Exception {
        /// The vector on x86_64, the exception class (ESR_EL1.EC) on aarch64.
        kind: u64,
        /// Where.
        instruction: u64,
    },
}

impl Thread {
    /// A program that begins at `entry` with these arguments (as a function in C has them), on the stack that ends at `stack`.
    #[must_use]
    pub fn new(entry: u64, stack: u64, arguments: [u64; 4]) -> Self {
        Self { registers: Registers::new(entry, stack, arguments) }
    }

    /// Runs it in an address space until something happens. On a CPU at thread level; other CPUs run other threads meanwhile, in
    /// the same space or in others.
    pub fn run(&mut self, space: &AddressSpace) -> Event {
        arch::user::run(&mut self.registers, space)
    }

    /// The result of the system call that it waits for.
    pub fn answer(&mut self, result: u64) {
        self.registers.set_result(result);
    }
}

/// What QEMU's device `loader` has put into memory, and whatever is behind it: the program's file, if there is one.
#[must_use]
pub fn program_file() -> &'static [u8] {
    let address = arch::PHYSICAL_MAP + arch::RAM_BASE + PROGRAM_OFFSET;
    let first = core::ptr::with_exposed_provenance(usize::try_from(address).expect("a usize has 64 bits"));
    // SAFETY: RAM that is mapped there, and that nobody writes: no frame of the kernel's lies there.
    unsafe { core::slice::from_raw_parts(first, PROGRAM_BYTES) }
}
