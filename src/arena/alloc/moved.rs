//! Which CPUs have moved to a start of their own.
//!
//! Allocations take the lowest pages that there are, until two CPUs meet: then the one that lost moves to a place of its own,
//! and stays there until there is no room above it, so that they do not meet again at each page. Who never met anybody pays
//! one load for it.

use crate::platform::CpuId;
use crate::sync::{Figure, Line, Ordering};

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
            moved => cpu().filter(|cpu| moved & bit(*cpu) != 0).map_or(0, own_start),
        }
    }

    /// This CPU has met another: where it goes on.
    pub(in crate::arena) fn lost(&self, cpu: Option<CpuId>) -> u16 {
        let Some(cpu) = cpu else { return 0 };
        if self.0.0.load(Ordering::Relaxed) & bit(cpu) == 0 && own_start(cpu) != 0 {
            self.0.0.fetch_or(bit(cpu), Ordering::Relaxed);
        }
        own_start(cpu)
    }

    /// There is no room above this CPU's start: it goes back.
    #[cold]
    pub(in crate::arena) fn full(&self, cpu: Option<CpuId>) {
        self.0.0.fetch_and(!cpu.map_or(0, bit), Ordering::Relaxed);
    }
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
        assert_eq!(
            (moved.lost(cpu(1)), moved.lost(cpu(3)), moved.lost(cpu(0)), moved.lost(None)),
            (0x8000, 0xc000, 0, 0)
        );
        assert_eq!([0, 1, 2, 3].map(|number| moved.start(|| cpu(number))), [0, 0x8000, 0, 0xc000]);
        moved.full(cpu(1));
        moved.full(None);
        assert_eq!([moved.start(|| cpu(1)), moved.start(|| cpu(3)), moved.start(|| None)], [0, 0xc000, 0]);
    }
}
