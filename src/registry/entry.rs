//! An entry of a registry, and where it is looked for.

use crate::addr::{GUARD_SIZE, KernelAddr, WINDOW_SIZE};
use crate::sync::{AtomicU64, Ordering};

/// Somebody registers or has registered an arena here.
pub(super) const TAKEN: u64 = 1 << 63;
/// Faults may enter.
pub(super) const OPEN: u64 = 1 << 62;
/// The count below it.
pub(super) const COUNT: u64 = OPEN - 1;

/// One arena. `word` is [`OPEN`] and the number of faults inside; the next three are written only by whoever holds [`TAKEN`],
/// before `OPEN` is set with Release.
///
/// It has a line of its own: faults in two arenas at once write to two.
#[repr(align(64))]
pub(super) struct Entry {
    pub(super) word: AtomicU64,
    pub(super) base: AtomicU64,
    pub(super) arena: AtomicU64,
    /// The number of the registration that holds the entry, or of the last that did.
    pub(super) registration: AtomicU64,
    /// In which entries the arenas are that are at home here: bit n for the n-th entry from this one on, and the n + 64th, and so
    /// on. It is not of the arena that is *in* this entry. With at most 64 entries, who has taken one has its bit.
    pub(super) members: AtomicU64,
}

impl Entry {
    #[cfg(not(kernel_arena_loom))]
    pub(super) const fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            base: AtomicU64::new(0),
            arena: AtomicU64::new(0),
            registration: AtomicU64::new(0),
            members: AtomicU64::new(0),
        }
    }

    #[cfg(kernel_arena_loom)]
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { word: zero(), base: zero(), arena: zero(), registration: zero(), members: zero() }
    }

    /// Makes a free entry one's own. Acquire: pairs with the Release that freed it.
    pub(super) fn take(&self) -> bool {
        // The count may differ from zero for a moment, by faults that are just finding the entry closed.
        self.word.fetch_or(TAKEN, Ordering::Acquire) & TAKEN == 0
    }

    /// Counts a fault in, if the entry is open and its arena's window or upper guard has this address. The entry is looked at
    /// first, so that faults do not count in where an arena was (Relaxed: what decides is the count). Acquire: pairs with the
    /// Release that opened it.
    #[inline(always)]
    pub(super) fn enter(&self, address: KernelAddr) -> Option<Inside<'_>> {
        let base = self.base.load(Ordering::Relaxed);
        if address.value().wrapping_sub(base) >= WINDOW_SIZE + GUARD_SIZE {
            return None;
        }
        if self.word.load(Ordering::Relaxed) & OPEN == 0 {
            return None;
        }
        let open = self.word.fetch_add(1, Ordering::Acquire) & OPEN != 0;
        let inside = Inside(self);
        // The entry may have become another arena's between the look and the entering.
        (open && self.base.load(Ordering::Relaxed) == base).then_some(inside)
    }
}

/// A fault in flight through an entry: counted until it is dropped.
pub(super) struct Inside<'a>(&'a Entry);

impl Inside<'_> {
    /// Where the arena is. Relaxed: read after `enter`, which is Acquire.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits: lib.rs asserts it")]
    pub(super) fn arena_address(&self) -> usize {
        self.0.arena.load(Ordering::Relaxed) as usize
    }
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: all that was done inside comes before what follows a removal that finds nobody left.
        self.0.word.fetch_sub(1, Ordering::Release);
    }
}

/// Bits of [`Entry::members`].
pub(super) const MEMBERS: usize = 64;

/// The bit of the entry so far from its home.
pub(super) const fn member(distance: usize) -> u64 {
    1 << (distance % MEMBERS)
}

/// Where the window with this address is at home, among so many entries: by the upper bits of a product (D. E. Knuth, *The Art of
/// Computer Programming*, volume 3, 6.4, Fibonacci hashing), so that neighbours lie far apart.
pub(super) const fn home(window: u64, entries: usize) -> usize {
    let spread = (window / WINDOW_SIZE).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (((spread >> 32) * entries as u64) >> 32) as usize
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    #[test]
    fn windows_one_after_another_are_at_home_apart() {
        for entries in [1, 2, 8, 64] {
            let mut homes = vec![0; entries];
            (0..entries as u64)
                .for_each(|window| homes[home(0xffff_9000_0000_0000 + window * WINDOW_SIZE + 5, entries)] += 1);
            assert!(homes.iter().all(|count| *count <= 2), "{entries}: {homes:?}");
        }
        assert_eq!(home(7 * WINDOW_SIZE, 0), 0);
    }
}
