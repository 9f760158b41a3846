//! Faults in a row: what keeps a fault that nothing explains from being retried for ever.
//!
//! A fault on a slot that is present is normally over when the instruction runs again: somebody mapped the page between the
//! access and our look, or a processor raised the fault for reasons of its own. Several such faults may come together, each
//! for good reason (contexts of one CPU that touched the page before any handler looked, lost races, a hypervisor that
//! stutters), but not without end. So a row is long: [`STUCK`] faults at one address on one CPU, with no success in between
//! that could be seen here, which is a fault that was recovered, one that found its slot changing, or one at another address.
//! What else goes on in the arena does not matter: a row ends by what happens on its own CPU alone.
//!
//! A program's fault on a page that is there and its to use is counted the same way, in rows that are never the kernel's.
//!
//! Threads that take turns on one CPU, each stuck at an address of its own, break each other's rows; such a kernel still
//! schedules. CPUs that are not known, or beyond those the layout was made for, share a word.

use crate::cpus::CpuWords;
use crate::sync::{AtomicU64, Ordering};

/// The length of the row that is declined. To raise a fault, handle it and return takes a processor of today between 0.5 µs
/// and 1 µs, or a few with a hypervisor below it, so this many take about 0.1 s: longer than any interrupt handler or lost
/// race lasts, short enough that a watchdog does not come first. On the word that CPUs without a name share it is twice
/// the number of CPUs that there can be.
pub(in crate::arena) const STUCK: u64 = 1 << 17;

/// What stands for the address of a program's fault, of its offset in the window. No offset of the kernel's is like it: the
/// upper guard's last is far below. Four bytes share one.
pub(in crate::arena) const fn of_a_program(offset: u64) -> u64 {
    0b11 << (LENGTH_SHIFT - 2) | (offset & 0xffff_ffff) >> 2
}

/// The row of one CPU, or of all that share one. Relaxed throughout: nothing is ordered by a row. A handler
/// that interrupts another between its load and its store loses a count or two, which matters to nobody.
#[derive(Clone, Copy, Debug)]
pub(in crate::arena) struct FaultRow<'a>(&'a AtomicU64);

/// A word: the offset of the address in the low 33 bits, the length of the row above.
const LENGTH_SHIFT: u32 = 33;
const OFFSET_MASK: u64 = (1 << LENGTH_SHIFT) - 1;

impl<'a> FaultRow<'a> {
    /// Of the CPU whose words these are.
    #[inline]
    pub(in crate::arena) const fn on(cpu: &'a CpuWords) -> Self {
        Self(&cpu.row)
    }

    /// Counts a fault at `offset` that found a present slot. Whether it is the [`STUCK`]th in a row.
    pub(in crate::arena) fn is_stuck(self, offset: u64) -> bool {
        self.count(offset) >= STUCK
    }

    /// Counts a fault at `offset` that found a present slot: the length of the row with it, [`STUCK`] at most.
    pub(in crate::arena) fn count(self, offset: u64) -> u64 {
        let last = self.0.load(Ordering::Relaxed);
        let length = if last & OFFSET_MASK == offset & OFFSET_MASK { last >> LENGTH_SHIFT } else { 0 } + 1;
        let stuck = length >= STUCK;
        // A row that was declined is over: what the kernel does about it may well explain the next fault.
        self.0.store(if stuck { 0 } else { offset & OFFSET_MASK | length << LENGTH_SHIFT }, Ordering::Relaxed);
        length
    }

    /// Ends the row: this fault had a reason.
    #[inline]
    pub(in crate::arena) fn end(self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Whether a row that has just become so long is to be looked into, where that takes a while: when its fault comes again, and
/// then ever more rarely. In a row that is not one CPU's own, each time: there one breaks the other's.
pub(in crate::arena) const fn is_looked_into(own: bool, length: u64) -> bool {
    !own || length > 1 && length.is_power_of_two()
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;
    use crate::cpus::tests::cpus;
    use crate::platform::CpuId;

    #[test]
    fn a_long_row_is_declined_and_starts_anew() {
        for cpu in [Some(CpuId::new(0)), Some(CpuId::new(1)), Some(CpuId::new(9)), None] {
            let cpus = cpus(2);
            let row = FaultRow::on(cpus.of(cpu));
            let stuck = (1..=2 * STUCK).filter(|_| row.is_stuck(0x1_0000_7ff8)).count();
            assert_eq!(stuck, 2);
            assert!((1..STUCK).all(|_| !row.is_stuck(0)), "offset 0 is an address, too");
            assert!(row.is_stuck(0));
        }
    }

    #[test]
    fn a_success_or_another_address_ends_the_row_and_another_cpu_does_not() {
        let cpus = cpus(2);
        let [row, other, shared] =
            [Some(CpuId::new(0)), Some(CpuId::new(1)), None].map(|cpu| FaultRow::on(cpus.of(cpu)));
        let almost = || assert!((1..STUCK).all(|_| !row.is_stuck(8)));
        almost();
        row.end();
        almost();
        assert!(!row.is_stuck(16));
        almost();
        other.end();
        assert!(!other.is_stuck(8) && !shared.is_stuck(8));
        assert!(row.is_stuck(8));
    }
}
