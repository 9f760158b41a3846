//! Loads and stores that may fail: for touching bad addresses on purpose.
//!
//! Each is one function whose first instruction is the access, so the address of that
//! instruction is the function's own. When the kernel's handler answers a fault there with
//! [`Skip`](crate::FaultAction::Skip), the function returns at once and says that nothing was
//! accessed. A fault anywhere else cannot be skipped: no other code is written for it.
//!
//! All are `unsafe`, since the compiler cannot know whose memory an address is.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::FaultFrame;
use crate::arch::{current, probe as instructions};
use crate::layout::MAX_CPUS;

/// What an instruction function returns, in the two registers for results.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Probed<T> {
    /// What was read.
    pub(crate) value: T,
    /// 1 if the access happened, 0 if it was given up.
    pub(crate) done: u64,
}

/// The instructions that make the probes' accesses: reads of 1, 4 and 8 bytes, then writes.
///
/// A record of who touched what can be held against these.
#[must_use]
pub fn probe_instructions() -> [u64; 6] {
    [
        instructions::read_u8 as *const () as u64,
        instructions::read_u32 as *const () as u64,
        instructions::read_u64 as *const () as u64,
        instructions::write_u8 as *const () as u64,
        instructions::write_u32 as *const () as u64,
        instructions::write_u64 as *const () as u64,
    ]
}

/// What each CPU tries to execute ([`execute`]); 0 is nothing. Relaxed: each is its own CPU's.
static EXECUTED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Calls what is at `address`, which is `instructions::SAYS_DONE`. Tells whether it ran; if not, the processor would not execute it.
///
/// # Safety
///
/// Those instructions are there, or nothing that this processor could mean.
pub(crate) unsafe fn execute(address: u64) -> bool {
    let function = core::ptr::with_exposed_provenance::<()>(usize::try_from(address).expect("a usize has 64 bits"));
    // SAFETY: what is there returns like such a function; if it faults at once, `given_up` does.
    let function = unsafe { core::mem::transmute::<*const (), extern "C" fn() -> Probed<u64>>(function) };
    let here = &EXECUTED[current()];
    here.store(address, Ordering::Relaxed);
    let probed = function();
    here.store(0, Ordering::Relaxed);
    probed.done != 0
}

/// Where to go on if the access that faulted is given up; none if it is not a probe's.
pub(crate) fn resume_address(frame: &FaultFrame) -> Option<u64> {
    let executed = EXECUTED[current()].load(Ordering::Relaxed);
    let is_probe =
        probe_instructions().contains(&frame.instruction) || (executed != 0 && frame.instruction == executed);
    (!frame.from_user && is_probe).then_some(instructions::given_up as *const () as u64)
}

macro_rules! probes {
    ($($read:ident, $write:ident, $read_instruction:ident, $write_instruction:ident, $type:ident;)*) => {$(
        #[doc = concat!("Reads a `", stringify!($type), "`, or gives nothing if the read faulted and the fault was skipped.")]
        ///
        /// The address need not be aligned.
        ///
        /// # Safety
        ///
        /// Nothing that Rust owns or has lent exclusively lies at `address`, and no device.
        pub unsafe fn $read(address: u64) -> Option<$type> {
            // SAFETY: the caller promises that the memory is nobody's that could mind.
            let probed = unsafe { instructions::$read_instruction(address) };
            (probed.done != 0).then_some(probed.value)
        }

        #[doc = concat!("Writes a `", stringify!($type), "`. Tells whether it was written; if not, the write faulted and the fault was skipped.")]
        ///
        /// The address need not be aligned.
        ///
        /// # Safety
        ///
        /// Nothing that Rust owns or has lent lies at `address`, and no device: the kernel
        /// survives it if those bytes change.
        #[must_use]
        pub unsafe fn $write(address: u64, value: $type) -> bool {
            // SAFETY: the caller promises that the memory is nobody's that could mind.
            unsafe { instructions::$write_instruction(address, value) }.done != 0
        }
    )*};
}

probes! {
    probe_read_u8, probe_write_u8, read_u8, write_u8, u8;
    probe_read_u32, probe_write_u32, read_u32, write_u32, u32;
    probe_read_u64, probe_write_u64, read_u64, write_u64, u64;
}
