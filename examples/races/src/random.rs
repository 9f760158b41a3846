//! Numbers that look random and are the same in each run: what differs is who gets there first.

/// A generator by George Marsaglia ("Xorshift RNGs", 2003), with a multiplication for the low bits.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator of its own for each seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// 64 bits.
    pub(crate) const fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`.
    pub(crate) const fn below(&mut self, limit: u32) -> u32 {
        let product = (self.bits() >> 32) * limit as u64;
        (product >> 32 & 0xffff_ffff) as u32
    }

    /// Whether one of so many turns has come.
    pub(crate) const fn one_in(&mut self, turns: u32) -> bool {
        self.below(turns) == 0
    }
}
