//! Threads in the place of CPUs.
//!
//! What allocators keep by CPU is kept here by thread: each has a small number of its own while it runs, and the next
//! thread inherits number and belongings when it ends. A thread beyond the number of numbers, one that is just getting
//! its own, and one that is past giving it back have none, and take the path that an unknown CPU takes.
//!
//! The hook at a thread's end is std's for thread-locals. On hosts whose C library has none, std of before 1.93 keeps a
//! list of its own, which it grows while it is borrowed: there, do not make a heap that uses this the global allocator.

use core::cell::Cell;
use std::thread_local;

use crate::pages::{Bitmap, ones};
use crate::platform::{CpuCount, CpuId, CpuIdentity, CpuLevel};
use crate::sync::{AtomicU64, Ordering};

/// How many threads have a number at one time.
const NUMBERS: u16 = 256;

/// The thread has no number yet, or found none free.
const UNBOUND: u16 = u16::MAX;
/// The thread has none, and is to look for none: it is getting one now, or gave it back.
const NONE: u16 = u16::MAX - 1;

static WORDS: [AtomicU64; NUMBERS as usize / 64] = [const { AtomicU64::new(0) }; NUMBERS as usize / 64];
/// The numbers that are taken. Taking is Acquire, giving back Release: a thread sees all that those before it did.
static TAKEN: Bitmap = Bitmap::new(&WORDS);

thread_local! {
    /// This thread's number. It needs no destructor, so reading it is a load.
    static NUMBER: Cell<u16> = const { Cell::new(UNBOUND) };
    /// Gives the number back when the thread ends.
    static GIVE_BACK: GiveBack = const { GiveBack };
}

/// The threads of this process, as CPUs: at most 256 have a number at a time.
///
/// The numbers are the process's: all values of this type give the same. An allocator [binds](CpuIdentity::bind) each
/// thread that comes to it.
///
/// ```
/// use kernel_arena::{hosted::Threads, platform::CpuIdentity};
/// let number = || {
///     Threads::new().bind();
///     Threads::new().current()
/// };
/// let mine = number();
/// assert_eq!(number(), mine);
/// assert_ne!(std::thread::spawn(number).join().unwrap(), mine);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads(());

impl Threads {
    /// The threads.
    pub const fn new() -> Self {
        Self(())
    }
}

impl CpuIdentity for Threads {
    #[inline]
    fn current(&self) -> Option<CpuLevel> {
        let number = NUMBER.get();
        (number < NUMBERS).then(|| CpuLevel { cpu: CpuId::new(number), level: 0 })
    }

    /// Gives this thread a number until it ends, if it has none and there is one: not while all are taken, and not once
    /// its thread-locals are being destroyed.
    #[cold]
    fn bind(&self) {
        if NUMBER.get() == UNBOUND {
            // Registering the destructor may allocate: that comes here again, and finds that there is none to be had.
            NUMBER.set(NONE);
            if GIVE_BACK.try_with(|_| ()).is_ok() {
                NUMBER.set(take().unwrap_or(UNBOUND));
            }
        }
    }

    fn count(&self) -> CpuCount {
        const { CpuCount::new(NUMBERS as u32).unwrap() }
    }
}

/// Takes the lowest number that is free.
#[expect(clippy::cast_possible_truncation, reason = "there are 256 bits")]
fn take() -> Option<u16> {
    (0..TAKEN.word_count()).find_map(|word| {
        let free = ones(!TAKEN.word(word, Ordering::Relaxed));
        free.into_iter().find(|bit| TAKEN.acquire(word, 1 << bit).is_ok()).map(|bit| (word * 64 + bit) as u16)
    })
}

struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        let number = u32::from(NUMBER.replace(NONE));
        if number < u32::from(NUMBERS) {
            TAKEN.release(number / 64, 1 << (number % 64));
        }
    }
}
