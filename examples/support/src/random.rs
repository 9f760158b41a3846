//! Numbers that look random and are the same in each run: what differs is who gets there first.

/// A generator by George Marsaglia ("Xorshift RNGs", 2003), with a multiplication for the low bits.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator of its own for each seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub const fn below(&mut self, limit: u32) -> u32 {
        let product = (self.bits() >> 32) * limit as u64;
        (product >> 32 & 0xffff_ffff) as u32
    }

    /// A place in something that has so many: below `len`, which is to be below 2^32.
    pub fn index(&mut self, len: usize) -> usize {
        u32::try_from(len).map_or(0, |len| self.below(len) as usize)
    }

    /// Whether one of so many turns has come.
    pub const fn one_in(&mut self, turns: u32) -> bool {
        self.below(turns) == 0
    }
}
