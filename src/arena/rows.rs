//! Faults in a row: what keeps a fault that nothing explains from being retried for ever.
//!
//! A fault on a slot that is present is normally over when the instruction runs again: somebody mapped the page between the
//! access and our look. If the same CPU faults at the same address three times, and no translation was taken away in between
//! that could have explained it, the slot is not the reason, and the fault is not ours.

use crate::platform::CpuId;
use crate::sync::{AtomicU64, Ordering};

/// One word for each CPU, and a last one for those that are not known. Relaxed throughout: only its own CPU relies on a word,
/// and where several share one, a row is merely forgotten.
#[derive(Debug)]
pub(super) struct FaultRows {
    words: &'static [AtomicU64],
}

/// A word: the offset of the address, 33 bits; the length of the row, 2 bits; the number of the last batch, 29 bits.
const LENGTH_SHIFT: u32 = 33;
const LENGTH_MASK: u64 = 0b11 << LENGTH_SHIFT;
const BATCH_SHIFT: u32 = 35;

/// The row that is declined.
const STUCK: u64 = 3;

impl FaultRows {
    pub(super) const fn new(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    /// Counts a fault at `offset` that found a present slot, when `batch` batches had been taken away. Whether it is the third
    /// in a row.
    pub(super) fn is_stuck(&self, cpu: Option<CpuId>, offset: u64, batch: u64) -> bool {
        let Some(word) = self.word(cpu) else {
            return false;
        };
        let row = offset & ((1 << LENGTH_SHIFT) - 1) | batch << BATCH_SHIFT;
        let last = word.load(Ordering::Relaxed);
        let length = if last & !LENGTH_MASK == row { (last & LENGTH_MASK) >> LENGTH_SHIFT } else { 0 } + 1;
        let stuck = length >= STUCK;
        // A row that was declined is over: what the kernel does about it may well explain the next fault.
        word.store(if stuck { 0 } else { row | length << LENGTH_SHIFT }, Ordering::Relaxed);
        stuck
    }

    /// Forgets the CPU's row: this fault had a reason.
    pub(super) fn forget(&self, cpu: Option<CpuId>) {
        if let Some(word) = self.word(cpu) {
            word.store(0, Ordering::Relaxed);
        }
    }

    fn word(&self, cpu: Option<CpuId>) -> Option<&AtomicU64> {
        let (unknown, known) = self.words.split_last()?;
        Some(cpu.and_then(|cpu| known.get(usize::from(cpu.number()))).unwrap_or(unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> FaultRows {
        FaultRows::new((0..3).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak())
    }

    #[test]
    fn the_third_in_a_row_is_stuck_and_starts_anew() {
        for cpu in [Some(CpuId::new(0)), Some(CpuId::new(1)), Some(CpuId::new(9)), None] {
            let rows = rows();
            let stuck: Vec<bool> = (0..6).map(|_| rows.is_stuck(cpu, 0x1_0000_7ff8, 5)).collect();
            assert_eq!(stuck, [false, false, true, false, false, true]);
        }
    }

    #[test]
    fn another_address_cpu_or_batch_breaks_the_row() {
        let (rows, cpu) = (rows(), Some(CpuId::new(0)));
        for (offset, batch) in [(8, 0), (8, 0), (16, 0), (8, 0), (8, 0), (8, 1), (8, 1), (8, 2)] {
            assert!(!rows.is_stuck(cpu, offset, batch), "{offset} {batch}");
        }
        assert!(!rows.is_stuck(Some(CpuId::new(1)), 8, 2));
        rows.forget(cpu);
        assert!(!rows.is_stuck(cpu, 8, 0));
        assert!(!rows.is_stuck(cpu, 8, 0));
        assert!(rows.is_stuck(cpu, 8, 0));
    }
}
