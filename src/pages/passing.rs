//! Whether pages are being given back at this moment: what a refusal needs to know.
//!
//! Whoever is going to un-claim pages of a large arena says so before the first, and again after the last. A search that found
//! nothing, with the same counts before and after it, and nobody in the middle, met nobody: there was no run, and none was on
//! its way. Otherwise another try may find one.
//!
//! Most operations meet nobody, and pay one locked instruction: each takes one of a few *places*, by making its count odd where
//! it was even, and leaves it by a plain store, for a place is one operation's alone. Which one follows from the pages, so
//! that CPUs that work far apart use places, and lines, of their own. Who finds its place taken, by another CPU or by what
//! it interrupted, takes another; who finds all taken is counted in the *crowd*.
//!
//! # Orderings
//! Taking a place is Acquire and leaving it Release, so whoever sees a count sees the un-claims of all who left before. (Who takes
//! it must acquire: his store when he leaves is no part of the last one's release sequence.) The un-claims
//! are Release and come after the taking: whoever sees one sees a place that is taken, or was left since. Taking is `SeqCst`
//! besides, for the look at the last refusal that follows (`refused`).

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
pub(crate) enum GivingBack<'a> {
    InPlace(InPlace<'a>),
    InCrowd(InCrowd<'a>),
}

/// One that has a place to itself.
#[derive(Debug)]
#[must_use = "it is over when this is dropped"]
pub(crate) struct InPlace<'a>(&'a Place);

/// One in the crowd.
#[derive(Debug)]
pub(crate) struct InCrowd<'a>(&'a Place);

/// Where an operation's shootdowns are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shootdowns<'a> {
    count: &'a Figure,
    /// Nobody else counts here meanwhile.
    alone: bool,
}

impl Passing {
    pub(crate) fn new() -> Self {
        let place = || Line(Place { count: AtomicU64::new(0), shootdowns: Figure::new(0) });
        Self { places: core::array::from_fn(|_| place()), crowd: place() }
    }

    /// Begins an operation on pages of which one has this bit.
    pub(crate) fn begin(&self, bit: u32) -> GivingBack<'_> {
        let (before, from) = self.places.split_at(Self::place_of(bit));
        let place = from.iter().chain(before).find_map(|place| place.0.enter());
        place.map_or_else(|| self.join_crowd(), GivingBack::InPlace)
    }

    /// The same in the place of this bit; `None` if it is taken.
    #[inline]
    pub(crate) fn begin_in_place(&self, bit: u32) -> Option<InPlace<'_>> {
        self.places[Self::place_of(bit)].0.enter()
    }

    /// Blocks of 512 bits, spread so that halves, quarters and neighbours have places of their own.
    #[inline]
    const fn place_of(bit: u32) -> usize {
        let spread = (bit / 512).wrapping_mul(0x9e37_79b1);
        (spread as u64 >> (32 - PLACES_SHIFT)) as usize
    }

    #[cold]
    fn join_crowd(&self) -> GivingBack<'_> {
        self.crowd.0.count.fetch_add(BEGUN, Ordering::SeqCst);
        GivingBack::InCrowd(InCrowd(&self.crowd.0))
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

    /// Where shootdowns for none of these operations are counted.
    pub(crate) const fn other_shootdowns(&self) -> Shootdowns<'_> {
        self.crowd.0.shootdowns(false)
    }

    /// How many shootdowns were counted.
    pub(crate) fn shootdowns(&self) -> u64 {
        let places = self.places.iter().chain([&self.crowd]);
        places.map(|place| place.0.shootdowns.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

impl Place {
    /// Takes it, if nobody has it.
    #[inline]
    fn enter(&self) -> Option<InPlace<'_>> {
        self.take().then(|| InPlace(self))
    }

    /// Makes the count odd; whether it was even. One locked instruction, which changes nothing if it was odd.
    #[cfg(not(kernel_arena_loom))]
    #[inline]
    fn take(&self) -> bool {
        self.count.fetch_or(1, Ordering::SeqCst) % 2 == 0
    }

    /// The same in a model, which would let the store of who leaves come before another's that changed nothing: a
    /// read-modify-write stands right behind what it has read, but not in loom 0.7.
    #[cfg(kernel_arena_loom)]
    fn take(&self) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        count % 2 == 0 && self.count.compare_exchange(count, count + 1, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    #[inline]
    const fn shootdowns(&self, alone: bool) -> Shootdowns<'_> {
        Shootdowns { count: &self.shootdowns, alone }
    }
}

impl GivingBack<'_> {
    /// Where its shootdowns are counted.
    pub(crate) const fn shootdowns(&self) -> Shootdowns<'_> {
        match self {
            Self::InPlace(in_place) => in_place.shootdowns(),
            Self::InCrowd(InCrowd(crowd)) => crowd.shootdowns(false),
        }
    }
}

impl InPlace<'_> {
    /// Where its shootdowns are counted.
    #[inline]
    pub(crate) const fn shootdowns(&self) -> Shootdowns<'_> {
        self.0.shootdowns(true)
    }
}

impl Shootdowns<'_> {
    /// Counts one.
    #[inline]
    pub(crate) fn count(self) {
        if self.alone {
            self.count.store(self.count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        } else {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for InPlace<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the fence of `now`, and with who takes the place next. Nobody else changes an odd count.
        self.0.count.store(self.0.count.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

impl Drop for InCrowd<'_> {
    fn drop(&mut self) {
        // Release: pairs with the fence of `now`.
        self.0.count.fetch_add(ENDED, Ordering::Release);
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
        // In a place, in one beside it, in another.
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
    fn who_finds_all_places_taken_is_in_the_crowd() {
        let passing = Passing::new();
        let before = passing.now();
        let all: Vec<_> = (0..1 << PLACES_SHIFT).map(|_| passing.begin(7)).collect();
        assert!(all.iter().all(|one| matches!(one, GivingBack::InPlace(_))));
        assert!(passing.begin_in_place(7).is_none() && passing.begin_in_place(512).is_none());
        let crowd = passing.begin(7);
        assert!(matches!(crowd, GivingBack::InCrowd(_)));
        drop(all);
        assert!(passing.now().anybody, "one is in the crowd");
        drop(crowd);
        assert!(!passing.now().anybody && passing.now() != before);
        assert!(matches!(passing.begin(7), GivingBack::InPlace(_)));
    }

    #[test]
    fn the_crowds_count_of_ends_comes_round() {
        let passing = Passing::new();
        passing.crowd.0.count.store(!ENDED, Ordering::Relaxed);
        drop(passing.join_crowd());
        assert_eq!((passing.now().crowd, passing.now().anybody), (0, false));
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
        let in_crowd = passing.join_crowd();
        first.shootdowns().count();
        second.shootdowns().count();
        in_crowd.shootdowns().count();
        passing.other_shootdowns().count();
        first.shootdowns().count();
        assert_eq!(passing.shootdowns(), 5);
    }
}
