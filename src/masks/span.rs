//! Which ids a mask has: arithmetic that cannot wrap.

use crate::platform::{CpuCount, CpuId};

pub(super) const WORD_BITS: u32 = 64;

/// Words that are enough for `nr` ids from any base on, which may be in the middle of a word; in 64 bits, so that no number of
/// ids wraps.
///
/// ```
/// use kernel_arena::masks::words;
/// assert_eq!([0, 1, 64, 65].map(words), [1, 2, 2, 3]);
/// assert_eq!(words(u32::MAX), (1 << 26) + 1);
/// ```
pub const fn words(nr: u32) -> u64 {
    (nr as u64).div_ceil(WORD_BITS as u64) + 1
}

/// How many ids there are, at most 8192: those of masks are below it.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskIds(u32);

impl MaskIds {
    /// As many as there can be.
    pub const MAX: Self = Self(8192);

    /// That many; `None` for 0, and above 8192.
    pub const fn new(ids: u32) -> Option<Self> {
        if ids >= 1 && ids <= Self::MAX.0 { Some(Self(ids)) } else { None }
    }

    /// One for each CPU; `None` if there are more than 8192.
    pub const fn of_cpus(cpus: CpuCount) -> Option<Self> {
        Self::new(cpus.get())
    }

    /// The count.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// All of them.
    pub const fn span(self) -> MaskSpan {
        MaskSpan { base: 0, nr: self.0 }
    }
}

/// The ids `base` to `base + nr` (without that), all below 8192.
///
/// Holding one proves that: no sum of these numbers wraps, and no loop over them is long.
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskSpan {
    base: u32,
    nr: u32,
}

impl MaskSpan {
    /// `nr` ids from `base` on; `None` if `base` is not below `ids`, or if there are fewer from there on.
    pub const fn new(base: u32, nr: u32, ids: MaskIds) -> Option<Self> {
        if base < ids.0 && nr <= ids.0 - base { Some(Self { base, nr }) } else { None }
    }

    /// The first id.
    pub const fn base(self) -> u32 {
        self.base
    }

    /// How many ids.
    pub const fn nr(self) -> u32 {
        self.nr
    }

    /// Whether this is one of them.
    pub const fn contains(self, cpu: CpuId) -> bool {
        (cpu.number() as u32).wrapping_sub(self.base) < self.nr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_ids_is_no_span() {
        let ids = MaskIds::new(100).unwrap();
        for (base, nr) in [(100, 0), (99, 2), (0, 101), (1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
            assert_eq!(MaskSpan::new(base, nr, ids), None);
        }
        assert!(MaskSpan::new(99, 1, ids).is_some() && MaskSpan::new(99, 0, ids).is_some());
        assert_eq!([0, 8193, u32::MAX].map(MaskIds::new), [None; 3]);
    }
}
