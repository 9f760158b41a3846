//! What a search looks for.

/// Every 2^n-th bit of a word.
pub(super) const EVERY: [u64; 7] = {
    let mut every = [1; 7];
    let mut power = 0;
    while power < 6 {
        every[power] = !0 / ((1 << (1 << power)) - 1);
        power += 1;
    }
    every
};

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The length of the run, at least 1.
    pub(crate) count: u32,
    /// A power of two that divides `first bit of the run + origin`.
    pub(crate) align: u32,
    /// The number of bit 0, as far as alignments go.
    pub(crate) origin: u32,
}

impl Wanted {
    /// The first suitable place from `bit` on.
    pub(super) const fn aligned(self, bit: u32) -> u32 {
        ((bit + self.origin + (self.align - 1)) & !(self.align - 1)) - self.origin
    }

    /// The suitable places of the word that starts with `bit`.
    pub(super) const fn suitable(self, bit: u32) -> u64 {
        let first = self.aligned(bit) - bit;
        let power = self.align.trailing_zeros();
        if first >= 64 { 0 } else { EVERY[if power < 6 { power as usize } else { 6 }] << first }
    }
}
