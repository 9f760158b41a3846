//! An entry of a registry, and where it is looked for.

use crate::addr::KernelAddr;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Faults may enter. The number of the arena's window is above it.
pub(super) const OPEN: u64 = 1 << OPEN_SHIFT;
const OPEN_SHIFT: u32 = 31;
/// Somebody registers or has registered an arena here.
pub(super) const TAKEN: u64 = OPEN >> 1;
/// The count below it.
pub(super) const COUNT: u64 = TAKEN - 1;

/// The window that an address is in, as the word of an entry names it that is open for its arena: the number of the window, and
/// [`OPEN`]. The word of a closed entry names none, were it for a null pointer's.
#[derive(Clone, Copy)]
pub(super) struct Key(u64);

impl Key {
    #[inline(always)]
    pub(super) const fn of(address: KernelAddr) -> Self {
        Self(address.value() >> OPEN_SHIFT | 1)
    }

    /// What opens an entry that is closed.
    pub(super) const fn opening(self) -> u64 {
        self.0 << OPEN_SHIFT
    }

    /// Whether an entry with this word is open, for this window's arena.
    #[inline(always)]
    const fn is_in(self, word: u64) -> bool {
        word >> OPEN_SHIFT == self.0
    }

    /// Where it is at home, among so many entries.
    pub(super) const fn home(self, entries: usize) -> usize {
        self.spread(entries)
    }

    /// In which hint it is looked for first, of those of all homes.
    #[inline(always)]
    pub(super) const fn hint(self, entries: usize) -> usize {
        self.spread(HINTS * entries)
    }

    /// By the upper bits of a product (D. E. Knuth, *The Art of Computer Programming*, volume 3, 6.4, multiplicative hashing). Of all
    /// multipliers this is one with which the windows of up to 64 arenas, at steps of 1, 2, 4, 8, 16 or 32 windows from anywhere, have
    /// hints of their own.
    #[expect(clippy::cast_possible_truncation, reason = "what matters of a window's number has fewer bits")]
    #[inline(always)]
    const fn spread(self, among: usize) -> usize {
        let spread = (self.0 as u32).wrapping_mul(0x25c0_a2e7);
        if among.is_power_of_two() && among > 1 {
            (spread >> (32 - among.trailing_zeros())) as usize
        } else {
            ((spread as u64 * among as u64) >> 32) as usize
        }
    }
}

/// One arena. `word` is the [`Key`] of its window, [`TAKEN`] and the number of faults inside; the next three are written only by
/// whoever holds `TAKEN`, before the entry is opened with Release.
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

    /// Counts a fault in, if the entry is open for an arena in this window. It is looked at first, so that faults do not count in
    /// where an arena was or another is (Relaxed: what decides is the word that is counted in). Acquire: pairs with the Release that
    /// opened it.
    #[inline(always)]
    pub(super) fn enter(&self, window: Key) -> Option<Inside<'_>> {
        if !window.is_in(self.word.load(Ordering::Relaxed)) {
            return None;
        }
        let found = self.word.fetch_add(1, Ordering::Acquire);
        let inside = Inside(self);
        // It may have been closed, and become another arena's, between the look and the entering.
        window.is_in(found).then_some(inside)
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

/// Hints for each home.
pub(super) const HINTS: usize = 4;

/// In which entry an arena was put that is looked for by this hint: the last of them, if there were several. It may have gone.
pub(super) struct Hint(AtomicU32);

/// Some arena was put somewhere.
const GIVEN: u32 = 1 << 31;

impl Hint {
    #[cfg(not(kernel_arena_loom))]
    pub(super) const fn none() -> Self {
        Self(AtomicU32::new(0))
    }

    #[cfg(kernel_arena_loom)]
    pub(super) fn none() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Relaxed: a fault that comes after a registration, as happens-before goes, finds its hint or a later one.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "of more entries than there can be, a hint names the wrong one"
    )]
    pub(super) fn give(&self, place: usize) {
        self.0.store(GIVEN | place as u32, Ordering::Relaxed);
    }

    /// The place that was given last; the first if none was.
    #[inline(always)]
    pub(super) fn place(&self) -> usize {
        (self.0.load(Ordering::Relaxed) & !GIVEN) as usize
    }

    /// Whether one was: else no arena is looked for by this hint.
    #[inline(always)]
    pub(super) fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed) & GIVEN != 0
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;
    use crate::addr::WINDOW_SIZE;

    fn windows(first: u64, step: u64) -> impl Iterator<Item = Key> {
        (0..).map(move |number| Key::of(KernelAddr::new((first + number * step) * WINDOW_SIZE + 5)))
    }

    #[test]
    fn windows_at_regular_steps_have_hints_of_their_own() {
        for (entries, step) in
            [2, 4, 8, 16, 32, 64].into_iter().flat_map(|n| [1, 2, 4, 8, 16, 32].map(|step| (n, step)))
        {
            for first in [1, 0xffff_9000, 0xffff_a123, 0xffff_f000] {
                let mut hints: Vec<_> = windows(first, step).take(entries).map(|window| window.hint(entries)).collect();
                hints.sort_unstable();
                hints.dedup();
                assert_eq!(hints.len(), entries, "{entries} windows from {first:#x} on, one in {step}");
            }
        }
    }

    #[test]
    fn a_hint_is_one_of_the_homes_and_few_windows_share_a_home() {
        for entries in [1, 2, 3, 8, 60, 64, 100] {
            let mut homes = vec![0; entries];
            for window in windows(0xffff_9000, 1).take(entries) {
                assert_eq!(window.hint(entries) / HINTS, window.home(entries));
                homes[window.home(entries)] += 1;
            }
            assert!(homes.iter().all(|count| *count <= 4), "{entries}: {homes:?}");
        }
        assert_eq!(windows(7, 1).next().unwrap().home(0), 0);
    }

    #[test]
    fn a_closed_entry_is_no_windows() {
        for window in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            let key = windows(window, 1).next().unwrap();
            assert!([0, TAKEN, COUNT, TAKEN | COUNT].iter().all(|word| !key.is_in(*word)), "{window:#x}");
            assert!(key.is_in(key.opening() | TAKEN | COUNT));
        }
    }
}
