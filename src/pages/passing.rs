//! Whether pages are being given back at this moment: what a refusal needs to know.
//!
//! Whoever is going to un-claim pages of a large arena says so before the first, and again after the last. A search that found
//! nothing, with the same counts before and after it, and nobody in the middle, met nobody: there was no run, and none was on
//! its way. Otherwise another try may find one.
//!
//! Most operations meet nobody, and pay one locked instruction: each takes one of a few *places*, by an exchange of its count
//! from even to odd, and leaves it by a plain store, for a place is one operation's alone. Which one follows from the pages, so
//! that CPUs that work far apart use places, and lines, of their own. Who finds its place taken, by another CPU or by what
//! it interrupted, is counted in the *crowd*.
//!
//! # Orderings
//! Taking a place is Acquire and leaving it Release, so whoever sees a count sees the un-claims of all who left before. (The
//! exchange must acquire: the store of the next one who leaves is no part of the last one's release sequence.) The un-claims
//! are Release and come after the taking: whoever sees one sees a place that is taken, or was left since.

use core::num::NonZeroU64;

use crate::sync::{AtomicU64, Figure, Line, Ordering, fence};

/// log2 of the places.
const PLACES_SHIFT: u32 = if cfg!(kernel_arena_loom) { 0 } else { 3 };

/// In the crowd, the low 20 bits count operations that have begun and not ended, the others those that have ended, modulo 2^44.
const BEGUN: u64 = 1;
/// Where those that have ended are counted.
const ENDED_SHIFT: u32 = 20;
/// One less in the low bits, which carries, one more above them. The low bits, as a mask, too.
const ENDED: u64 = (1 << ENDED_SHIFT) - 1;

/// Operations that give pages back.
#[derive(Debug)]
pub(crate) struct Passing {
    places: [Line<Place>; 1 << PLACES_SHIFT],
    crowd: Line<Place>,
}

/// A count, and how many shootdowns there were for those who were counted.
#[derive(Debug)]
struct Place {
    /// Odd while somebody is in the place. It goes up only, and 2^63 operations are for ever.
    count: AtomicU64,
    shootdowns: Figure,
}

/// What was counted at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Of all places. Each count goes up only, so the sum of two moments is the same only if each count is.
    sum: u64,
    crowd: u64,
    anybody: bool,
}

/// An operation that gives pages back, until it is dropped.
#[derive(Debug)]
#[must_use = "it is over when this is dropped"]
pub(crate) struct GivingBack<'a> {
    place: &'a Place,
    /// The count that leaves the place free, which is never 0; of the crowd, none.
    left: Option<NonZeroU64>,
}

impl Moment {
    /// What tells moments apart in which nobody gives anything back; `None` if somebody does. Each operation adds one to it.
    pub(super) const fn quiet(self) -> Option<u64> {
        if self.anybody { None } else { Some((self.sum / 2).wrapping_add(self.crowd >> ENDED_SHIFT)) }
    }
}

impl Passing {
    pub(crate) fn new() -> Self {
        let place = || Line(Place { count: AtomicU64::new(0), shootdowns: Figure::new(0) });
        Self { places: core::array::from_fn(|_| place()), crowd: place() }
    }

    /// Begins an operation on pages of which one has this bit.
    #[inline]
    pub(crate) fn begin(&self, bit: u32) -> GivingBack<'_> {
        let place = &self.places[Self::place_of(bit)].0;
        let count = place.count.load(Ordering::Relaxed);
        if count % 2 == 0
            && place.count.compare_exchange(count, count + 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return GivingBack { place, left: NonZeroU64::new(count + 2) };
        }
        self.join_crowd()
    }

    /// Blocks of 512 bits, spread so that halves, quarters and neighbours have places of their own.
    #[inline]
    const fn place_of(bit: u32) -> usize {
        let spread = (bit / 512).wrapping_mul(0x9e37_79b1);
        (spread as u64 >> (32 - PLACES_SHIFT)) as usize
    }

    /// Relaxed: the un-claims that follow are Release, and whoever sees one of them sees this.
    #[cold]
    fn join_crowd(&self) -> GivingBack<'_> {
        self.crowd.0.count.fetch_add(BEGUN, Ordering::Relaxed);
        GivingBack { place: &self.crowd.0, left: None }
    }

    /// Before a search. What has ended is seen by it.
    pub(crate) fn now(&self) -> Moment {
        let moment = self.counted();
        fence(Ordering::Acquire);
        moment
    }

    /// After a search: whether nothing was given back since `before`, nor was about to be. The fence makes the search's
    /// loads, if one of them saw an un-claim, show its beginning here.
    pub(crate) fn none_since(&self, before: Moment) -> bool {
        fence(Ordering::Acquire);
        let now = self.counted();
        now == before && !now.anybody
    }

    fn counted(&self) -> Moment {
        let crowd = self.crowd.0.count.load(Ordering::Relaxed);
        let nobody = Moment { sum: 0, crowd, anybody: crowd & ENDED != 0 };
        self.places.iter().fold(nobody, |moment, place| {
            let count = place.0.count.load(Ordering::Relaxed);
            Moment { sum: moment.sum.wrapping_add(count), anybody: moment.anybody || count % 2 != 0, ..moment }
        })
    }

    /// Counts a shootdown for none of these operations.
    pub(crate) fn count_shootdown(&self) {
        self.crowd.0.shootdowns.fetch_add(1, Ordering::Relaxed);
    }

    /// How many shootdowns were counted.
    pub(crate) fn shootdowns(&self) -> u64 {
        let places = self.places.iter().chain([&self.crowd]);
        places.map(|place| place.0.shootdowns.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

impl GivingBack<'_> {
    /// Counts a shootdown. In a place nobody else does.
    #[inline]
    pub(crate) fn count_shootdown(&self) {
        let shootdowns = &self.place.shootdowns;
        if self.left.is_some() {
            shootdowns.store(shootdowns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        } else {
            shootdowns.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for GivingBack<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the fence of `now`, and with who takes the place next.
        match self.left {
            Some(count) => self.place.count.store(count.get(), Ordering::Release),
            None => _ = self.place.count.fetch_add(ENDED, Ordering::Release),
        }
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_search_that_met_nobody_has_the_last_word() {
        let passing = Passing::new();
        let before = passing.now();
        assert!(passing.none_since(before));
        // In a place, in the crowd, in another place.
        let first = passing.begin(0);
        assert!(!passing.none_since(before) && !passing.none_since(passing.now()), "in the middle");
        let (second, third) = (passing.begin(0), passing.begin(512));
        drop((first, third));
        let between = passing.now();
        assert!(!passing.none_since(between), "another is");
        drop(second);
        assert!(!passing.none_since(between), "it ended meanwhile");
        let before = passing.now();
        assert!(passing.none_since(before));
        drop(passing.begin(7));
        assert!(!passing.none_since(before), "one began and ended");
    }

    #[test]
    fn the_crowds_count_of_ends_comes_round() {
        let passing = Passing::new();
        passing.crowd.0.count.store(!ENDED, Ordering::Relaxed);
        let first = passing.begin(0);
        drop(passing.begin(0));
        drop(first);
        assert_eq!((passing.now().crowd, passing.now().anybody), (0, false));
    }

    #[test]
    fn what_tells_moments_apart_counts_each_operation_wherever_it_was() {
        let passing = Passing::new();
        // One more ends in the crowd, which has had as many as fill 32 bits, and as many in a place.
        passing.crowd.0.count.store(u64::from(u32::MAX) << ENDED_SHIFT, Ordering::Relaxed);
        let before = passing.now().quiet();
        let first = passing.begin(0);
        drop(passing.begin(0));
        drop(first);
        assert_eq!(passing.now().quiet(), before.map(|before| before + 2));
        passing.places[Passing::place_of(0)].0.count.store(2 * u64::from(u32::MAX), Ordering::Relaxed);
        assert_ne!(passing.now().quiet(), before);
    }

    #[test]
    fn halves_quarters_and_neighbours_have_places_of_their_own() {
        let places =
            |bits: &[u32]| bits.iter().map(|bit| Passing::place_of(*bit)).collect::<std::collections::BTreeSet<_>>();
        for extent in [1 << 12, 1 << 16, 1 << 20] {
            assert_eq!(places(&[0, extent / 2]).len(), 2, "{extent}");
            assert!(places(&[0, extent / 4, extent / 2, extent / 4 * 3]).len() >= 3, "{extent}");
        }
        assert_eq!(places(&[0, 511]).len(), 1);
        assert!(places(&[0, 512, 1024, 1536]).len() >= 3);
    }

    #[test]
    fn shootdowns_are_counted_wherever_they_are_asked_for() {
        let passing = Passing::new();
        let (first, second) = (passing.begin(0), passing.begin(0));
        first.count_shootdown();
        second.count_shootdown();
        passing.count_shootdown();
        first.count_shootdown();
        assert_eq!(passing.shootdowns(), 4);
    }
}
