//! The ring, in the arena's metadata.
//!
//! Queues on the market keep a record that is complete behind one whose writer was interrupted; here each cell stands for
//! itself, so a writer that an NMI caught half-way hides nothing but its own record, and only until it goes on. A record that
//! finds no free cell is counted as lost; its sequence number is missing then, so the reader sees where.
//!
//! A cell's first word is its state: empty, or a sequence number with "being written", "full" or "being read" in the low two
//! bits. Whoever changes it from empty to "being written" owns the other words until the store that says "full" (Release);
//! whoever changes that to "being read" (Acquire) owns them until the store that says "empty" (Release, paired with the
//! Acquire of the next writer's exchange). Nobody waits for anybody.

use core::ptr;

use super::offence::RECORD_WORDS;
use super::{Offence, Violation};
use crate::sync::{AtomicU64, Ordering};

/// How many records an arena keeps until they are drained; under `cfg(kernel_arena_loom)` two, so that a model can fill it.
pub const VIOLATION_CAPACITY: usize = if cfg!(kernel_arena_loom) { 2 } else { 64 };

pub(crate) const RING_WORDS: usize = VIOLATION_CAPACITY * CELL_WORDS;
const CELL_WORDS: usize = 1 + RECORD_WORDS;

/// The ring: its cells lie in the arena's metadata.
#[derive(Debug)]
pub(crate) struct ViolationRing {
    cells: &'static [Cell; VIOLATION_CAPACITY],
    /// The sequence number of the next record, as it stands in a cell's state.
    next_tagged: AtomicU64,
    lost: AtomicU64,
}

/// State, and the record's words.
type Cell = [AtomicU64; CELL_WORDS];

const EMPTY: u64 = 0;
const WRITING: u64 = 1;
const FULL: u64 = 2;
const READING: u64 = 3;
const PHASE_MASK: u64 = 3;
/// What one record's sequence number differs by from the next, above the bits of the phase.
const ONE: u64 = PHASE_MASK + 1;

impl ViolationRing {
    /// A ring over words that hold 0.
    pub(crate) fn new(words: &'static [AtomicU64; RING_WORDS]) -> Self {
        // SAFETY: an array of `N * M` words has the size and layout of `N` arrays of `M` words.
        let cells = unsafe { &*ptr::from_ref(words).cast::<[Cell; VIOLATION_CAPACITY]>() };
        Self { cells, next_tagged: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Writes a record into a free cell, or counts it as lost: at most one look at each cell. A cell that was emptied a moment
    /// ago, by a drainer that nothing orders before us, may not be seen as free.
    #[inline(always)]
    pub(crate) fn record(&self, offence: Offence) {
        // Relaxed: the number is only a name; the cell's own exchange orders the record.
        let tagged = self.next_tagged.fetch_add(ONE, Ordering::Relaxed);
        // Nearly always its own cell is free.
        if !fill(self.cell(tagged), tagged, offence) {
            let [address, instruction, rest] = offence.words();
            self.record_beside(address, rest, instruction, tagged);
        }
    }

    /// In another cell than the record's own. By its words, which fit registers; in the order of a fault's parts, which are in these
    /// already.
    #[cold]
    #[inline(never)]
    fn record_beside(&self, address: u64, rest: u64, instruction: u64, tagged: u64) {
        let offence = Offence::from_words([address, instruction, rest]);
        for probe in 1..VIOLATION_CAPACITY as u64 {
            let cell = self.cell(tagged.wrapping_add(probe * ONE));
            if cell[0].load(Ordering::Relaxed) == EMPTY && fill(cell, tagged, offence) {
                return;
            }
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// The cell of the record with this number, or with one that tagged differs from it by a tag.
    #[inline(always)]
    fn cell(&self, tagged: u64) -> &Cell {
        let index = tagged / ONE % VIOLATION_CAPACITY as u64;
        &self.cells[(index & 0xffff) as usize]
    }

    /// Takes the oldest record that is complete; `None` if there is none.
    pub(crate) fn take(&self) -> Option<Violation> {
        loop {
            let full = self.cells.iter().filter_map(|cell| {
                let state = cell[0].load(Ordering::Relaxed);
                (state & PHASE_MASK == FULL).then_some((state, cell))
            });
            let (tagged, [state, words @ ..]) = full.min_by_key(|(state, _)| *state)?;
            // Acquire: pairs with the writer's Release. Another reader may be first; then there is one record less to find.
            let reading = tagged & !PHASE_MASK | READING;
            if state.compare_exchange(tagged, reading, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            let record = words.each_ref().map(|word| word.load(Ordering::Relaxed));
            state.store(EMPTY, Ordering::Release);
            return Some(Violation::from_words(record, tagged / ONE));
        }
    }

    /// How many violations there have been, and how many of them found no free cell.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.next_tagged.load(Ordering::Relaxed) / ONE, self.lost.load(Ordering::Relaxed))
    }
}

/// Writes a record into a cell, if it is free.
#[inline(always)]
fn fill([state, words @ ..]: &Cell, tagged: u64, offence: Offence) -> bool {
    // Acquire: the last reader's loads of this cell come before our stores.
    if state.compare_exchange(EMPTY, tagged | WRITING, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return false;
    }
    for (word, value) in words.iter().zip(offence.words()) {
        word.store(value, Ordering::Relaxed);
    }
    state.store(tagged | FULL, Ordering::Release);
    true
}
