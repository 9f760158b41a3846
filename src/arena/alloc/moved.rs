//! Which CPUs have moved to a start of their own.
//!
//! Allocations take the lowest pages that there are, until two CPUs meet: then the one that lost moves to a place of its own,
//! and stays there until there is no room above it, so that they do not meet again at each page. Who never met anybody pays
//! one load for it.
//!
//! Where the kernel does not name the CPU, the stack stands in for it, by the address that it has at the moment: two CPUs never
//! run on the same. One whose calls come from two blocks of addresses has two such places, and moves to the second when
//! it has lost there, too; two that fall into the same place are no worse off than if neither had moved.

use crate::platform::CpuId;
use crate::sync::{Figure, Line, Ordering};

/// log2 of a block of addresses in which stacks count as one: the size of a small kernel's.
const STACK_SHIFT: u32 = 13;

/// A bit for each CPU, modulo 64. Relaxed: it is a hint, also if it is another CPU by now.
#[derive(Debug)]
pub(in crate::arena) struct Moved(Line<Figure>);

impl Moved {
    pub(in crate::arena) const fn none() -> Self {
        Self(Line(Figure::new(0)))
    }

    /// Where a CPU begins to search, as a fraction of the extent in 2^-16. It is asked for only if some have moved.
    #[inline]
    pub(in crate::arena) fn start(&self, cpu: impl FnOnce() -> Option<CpuId>) -> u16 {
        match self.0.0.load(Ordering::Relaxed) {
            0 => 0,
            moved => {
                let cpu = named(cpu());
                if moved & bit(cpu) != 0 { own_start(cpu) } else { 0 }
            }
        }
    }

    /// This CPU has met another: where it goes on.
    pub(in crate::arena) fn lost(&self, cpu: Option<CpuId>) -> u16 {
        let cpu = named(cpu);
        if self.0.0.load(Ordering::Relaxed) & bit(cpu) == 0 && own_start(cpu) != 0 {
            self.0.0.fetch_or(bit(cpu), Ordering::Relaxed);
        }
        own_start(cpu)
    }

    /// There is no room above this CPU's start: it goes back.
    #[cold]
    pub(in crate::arena) fn full(&self, cpu: Option<CpuId>) {
        self.0.0.fetch_and(!bit(named(cpu)), Ordering::Relaxed);
    }
}

/// The CPU, or a number that stands in for it.
#[inline]
fn named(cpu: Option<CpuId>) -> CpuId {
    match cpu {
        Some(cpu) => cpu,
        None => named_by_stack(),
    }
}

#[cold]
#[inline(never)]
fn named_by_stack() -> CpuId {
    let here = 0u8;
    named_by(core::ptr::from_ref(&here).addr())
}

/// Blocks that follow one another get numbers whose starts lie far apart, and none the start that all have who never lost.
#[expect(clippy::cast_possible_truncation, reason = "any 32 bits will do, and then any 16")]
const fn named_by(address: usize) -> CpuId {
    let spread = ((address >> STACK_SHIFT) as u32).wrapping_mul(0x9e37_79b1);
    CpuId::new((spread >> 16) as u16 | 1 << 15)
}

const fn bit(cpu: CpuId) -> u64 {
    1 << (cpu.number() % 64)
}

/// A CPU's number with its bits reversed, so that few CPUs lie far apart.
const fn own_start(cpu: CpuId) -> u16 {
    cpu.number().reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lost_keeps_its_start_until_there_is_no_room() {
        let (moved, cpu) = (Moved::none(), |number| Some(CpuId::new(number)));
        assert_eq!(moved.start(|| unreachable!("nobody has moved")), 0);
        assert_eq!((moved.lost(cpu(1)), moved.lost(cpu(3)), moved.lost(cpu(0))), (0x8000, 0xc000, 0));
        assert_eq!([0, 1, 2, 3].map(|number| moved.start(|| cpu(number))), [0, 0x8000, 0, 0xc000]);
        moved.full(cpu(1));
        assert_eq!([moved.start(|| cpu(1)), moved.start(|| cpu(3))], [0, 0xc000]);
    }

    /// Whether somebody who has no name finds its own start again, `deeper` down its stack.
    #[inline(never)]
    fn comes_back(deeper: bool) -> bool {
        if deeper {
            let between = std::hint::black_box([0u8; 2048]);
            let back = comes_back(false);
            return std::hint::black_box(&between).len() == 2048 && back;
        }
        let moved = Moved::none();
        let ours = moved.lost(None);
        let is_ours = ours != 0 && moved.start(|| None) == ours;
        moved.full(None);
        is_ours && moved.start(|| None) == 0
    }

    #[test]
    fn who_has_no_name_goes_by_its_stack() {
        // Of two places on a stack that lie apart one is in the middle of a block.
        assert!(comes_back(false) || comes_back(true));
        let moved = Moved::none();
        let ours = moved.lost(None);
        std::thread::scope(|scope| {
            let others = [(); 4].map(|()| scope.spawn(|| moved.lost(None)));
            let others = others.map(|other| other.join().expect("a start"));
            assert!(others.iter().any(|theirs| *theirs != ours), "five stacks have one start");
        });
    }

    #[test]
    fn neighbouring_stacks_lie_apart() {
        let starts: Vec<u16> = (0..64usize).map(|n| own_start(named_by(0xffff_8000_0000_0000 + n * 0x4000))).collect();
        for (n, start) in starts.iter().enumerate() {
            assert!(starts[..n].iter().all(|other| other.abs_diff(*start) >= 16), "{n}: {starts:x?}");
        }
    }
}
