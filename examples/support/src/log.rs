//! The log: what a kernel says by `defmt::info!` and its like, on a channel of its own beside the console.
//!
//! A message is a number and its arguments; the text stays in the kernel's file, where the reader on the host finds it. The
//! architecture's `channel` carries the bytes. One CPU sends at a time, with interrupts masked, so that messages are whole and
//! no interrupt handler waits for the code that it has interrupted.
//!
//! A fault may come in the middle of a message, from an argument that touches a bad address while it is written. Its
//! handler neither logs nor takes the lock here, so that it can repair the fault, and the message goes on. Should a
//! handler log nevertheless, it is told from the code that it has interrupted, and its message is dropped and counted.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use defmt::Encoder;

use crate::arch::channel::send;
use crate::arch::mask::{Masked, mask_interrupts, unmask_interrupts};
use crate::arch::{current, relax};

/// The CPU that sends a message, or [`NOBODY`].
static SENDER: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

/// How many messages have been begun, and not ended, by code that has interrupted the sender's. Relaxed: the sender's alone.
static NESTED: AtomicU32 = AtomicU32::new(0);

static SENT: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// What the sender uses.
struct Sending {
    encoder: UnsafeCell<Encoder>,
    /// How interrupts were masked before the message.
    masked: UnsafeCell<Masked>,
}

// SAFETY: it is only touched by the CPU that is in `SENDER`, and not by code that has interrupted it there.
unsafe impl Sync for Sending {}

static SENDING: Sending =
    Sending { encoder: UnsafeCell::new(Encoder::new()), masked: UnsafeCell::new(Masked::ALREADY) };

/// Messages so far, of all CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTally {
    /// Those sent.
    pub sent: u64,
    /// Those dropped, since they came from code that had interrupted another one.
    pub dropped: u64,
}

/// How many messages there have been.
#[must_use]
pub fn log_tally() -> LogTally {
    LogTally { sent: SENT.load(Ordering::Relaxed), dropped: DROPPED.load(Ordering::Relaxed) }
}

#[defmt::global_logger]
struct Log;

// SAFETY: `acquire` lets one CPU in at a time, and `is_nested` keeps out whatever interrupts it.
unsafe impl defmt::Logger for Log {
    fn acquire() {
        let masked = mask_interrupts();
        // Relaxed: this CPU alone writes its own number there.
        if SENDER.load(Ordering::Relaxed) == current() {
            NESTED.fetch_add(1, Ordering::Relaxed);
            unmask_interrupts(masked);
            return;
        }
        // Acquire: what the last sender left in the encoder is visible.
        while SENDER.compare_exchange_weak(NOBODY, current(), Ordering::Acquire, Ordering::Relaxed).is_err() {
            relax();
        }
        // SAFETY: this CPU is the sender now, and nothing has interrupted it here but what finds itself nested.
        unsafe { SENDING.masked.get().write(masked) };
        encode(|encoder| encoder.start_frame(send));
    }

    unsafe fn flush() {
        // The channel keeps nothing back.
    }

    unsafe fn release() {
        if is_nested() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            NESTED.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        encode(|encoder| encoder.end_frame(send));
        SENT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: this CPU is the sender still.
        let masked = unsafe { SENDING.masked.get().read() };
        SENDER.store(NOBODY, Ordering::Release);
        unmask_interrupts(masked);
    }

    unsafe fn write(bytes: &[u8]) {
        if !is_nested() {
            encode(|encoder| encoder.write(bytes, send));
        }
    }
}

/// Whether the sender's code has been interrupted by that which runs now.
fn is_nested() -> bool {
    NESTED.load(Ordering::Relaxed) != 0
}

/// Lets the sender use the encoder. Not for nested code.
fn encode(use_it: impl FnOnce(&mut Encoder)) {
    // SAFETY: this CPU is the sender, and what is nested does not come here, so that nobody else uses the encoder.
    use_it(unsafe { &mut *SENDING.encoder.get() });
}
