//! Faults in a row: what keeps a fault that nothing explains from being retried for ever.
//!
//! A fault on a slot that is present is normally over when the instruction runs again: somebody mapped the page between the
//! access and our look. If the same CPU faults at the same address three times, and no translation was taken away in between
//! that could have explained it, the slot is not the reason, and the fault is not ours.
//!
//! CPUs that are not known, or beyond those the layout was made for, share a word, and then their faults look like one row:
//! many may have seen the same page missing at once, each for good reason. So a shared row must be longer than there can be
//! CPUs before it is declined.

use crate::platform::CpuId;
use crate::sync::{AtomicU64, Ordering};

/// One word for each CPU, and a last one that the others share. Relaxed throughout: nothing is ordered by a row.
#[derive(Debug)]
pub(super) struct FaultRows {
    words: &'static [AtomicU64],
}

/// A word: the offset of the address, 33 bits; the length of the row, 18 bits; the number of the last batch, 13 bits.
const LENGTH_SHIFT: u32 = 33;
const LENGTH_MASK: u64 = 0x3_ffff << LENGTH_SHIFT;
const BATCH_SHIFT: u32 = 51;

/// The row that is declined, on a CPU with a word of its own.
const STUCK: u64 = 3;
/// The row that is declined where CPUs share a word: more than two faults for each CPU that there can be.
const STUCK_SHARED: u64 = 3 << 16;

impl FaultRows {
    pub(super) const fn new(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    /// Counts a fault at `offset` that found a present slot, when `batch` batches had been taken away. Whether it is the third
    /// in a row.
    pub(super) fn is_stuck(&self, cpu: Option<CpuId>, offset: u64, batch: u64) -> bool {
        let Some((word, limit)) = self.word(cpu) else { return false };
        let row = offset & ((1 << LENGTH_SHIFT) - 1) | batch << BATCH_SHIFT;
        let last = word.load(Ordering::Relaxed);
        let length = if last & !LENGTH_MASK == row { (last & LENGTH_MASK) >> LENGTH_SHIFT } else { 0 } + 1;
        let stuck = length >= limit;
        // A row that was declined is over: what the kernel does about it may well explain the next fault.
        word.store(if stuck { 0 } else { row | length << LENGTH_SHIFT }, Ordering::Relaxed);
        stuck
    }

    /// Forgets the CPU's row: this fault had a reason.
    pub(super) fn forget(&self, cpu: Option<CpuId>) {
        if let Some((word, _)) = self.word(cpu) {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// A CPU's word, and the length of the row that is declined there.
    fn word(&self, cpu: Option<CpuId>) -> Option<(&AtomicU64, u64)> {
        let (shared, own) = self.words.split_last()?;
        let own = cpu.and_then(|cpu| own.get(usize::from(cpu.number())));
        Some(own.map_or((shared, STUCK_SHARED), |own| (own, STUCK)))
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
        for cpu in [Some(CpuId::new(0)), Some(CpuId::new(1))] {
            let rows = rows();
            let stuck: Vec<bool> = (0..6).map(|_| rows.is_stuck(cpu, 0x1_0000_7ff8, 5)).collect();
            assert_eq!(stuck, [false, false, true, false, false, true]);
        }
    }

    #[test]
    fn cpus_that_share_a_word_are_declined_only_when_no_number_of_cpus_explains_the_row() {
        let rows = rows();
        let stuck = |turn: u64| rows.is_stuck([None, Some(CpuId::new(9))][(turn & 1) as usize], 0x1000, 5);
        assert_eq!((1..).find(|turn| stuck(*turn)), Some(3 << 16));
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
