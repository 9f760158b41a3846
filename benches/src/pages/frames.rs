//! Frames: a few that come round again for pages, and new ones for tables.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a frame.
pub(super) const BYTES: usize = 4096;
/// How many frames of pages each thread has.
const ROUND: usize = 16;
/// Threads that have some.
const THREADS: usize = 64;

#[repr(align(4096))]
struct Frames([std::cell::UnsafeCell<[u8; BYTES]>; ROUND * THREADS]);
// SAFETY: they are reached by address alone; whoever zeroes one that another thread zeroes writes the same.
unsafe impl Sync for Frames {}

static FRAMES: Frames = Frames([const { std::cell::UnsafeCell::new([0; BYTES]) }; ROUND * THREADS]);

/// The number of the next thread that wants frames.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % THREADS);
    static ROUNDS: Cell<usize> = const { Cell::new(0) };
}

/// The address of a frame for a page: it may be another page's, too.
#[inline]
pub(super) fn for_page() -> u64 {
    let round = ROUNDS.get();
    ROUNDS.set(round.wrapping_add(1));
    let frame = &FRAMES.0[NUMBER.get() * ROUND + round % ROUND];
    frame.get().expose_provenance() as u64
}

/// The address of a frame for a table: zero, and nobody else's, for ever.
pub(super) fn for_table() -> u64 {
    let layout = std::alloc::Layout::from_size_align(BYTES, BYTES).expect("a frame");
    // SAFETY: the size is not 0.
    let frame = unsafe { std::alloc::alloc_zeroed(layout) };
    assert!(!frame.is_null(), "out of memory");
    frame.expose_provenance() as u64
}

/// Zeroes a frame for a page.
#[inline]
pub(super) fn zero(frame: u64) {
    let frame: *mut u8 = std::ptr::with_exposed_provenance_mut(usize::try_from(frame).expect("an address"));
    // SAFETY: one of `FRAMES`, in which nobody keeps anything.
    unsafe { frame.write_bytes(0, BYTES) };
}
