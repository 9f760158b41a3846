//! The list of an arena's views: one word each, in the metadata.
//!
//! A word is 0, or the view's base with what its faults need to know in the low half: a number from a counter that all
//! arenas share, so that a stale [`ViewId`] finds another word, and the view's rights and policy. A word that is not 0 is
//! *listed*: whoever changes a slot flushes that view, too. It is listed from before the first entry is linked until after the
//! flush that follows the last one's unlinking. While it is being taken away a bit says so: it is still listed, but its number finds
//! it no more, so a fault of its program has its last answer at once.
//!
//! # Orderings
//! - Listing and looking are a store before a barrier and a load after one, on both sides (Dekker). Attach: list, full
//!   barrier, link. Free: change the slot, full barrier, read the list. Either the free sees the view, or the slot was
//!   changed before the view was linked, and no walk through the view finds what was there: a walk reads the view's entry
//!   before the slot, each by the address that the one before gave.
//! - The fault path, which flushes a page that it finds vacated, reads that word with Acquire: whoever put it there did so
//!   after every walk that found the old one, and those after the listing of the view that they came by.
//! - Unlisting is a Release, and the look an Acquire: whoever does not find the view any more comes after its flush.

use super::{FaultPolicy, ViewId, ViewRights};
use crate::addr::{ProgramAddr, ProgramBase, WINDOW_SIZE};
use crate::sync::{AtomicU64, Figure, Ordering};

/// The low half of a word, and what is in it.
const LOW: u64 = WINDOW_SIZE - 1;
const LISTED: u64 = 1 << 0;
const READ_ONLY: u64 = 1 << 1;
const LAZY: u64 = 1 << 2;
const LEAVING: u64 = 1 << 3;
const NUMBER_SHIFT: u32 = 4;

/// The number of the next view, of any arena. Relaxed: two that take one get two, in whichever order.
static NEXT_VIEW: Figure = Figure::new(0);

/// The views of an arena.
#[derive(Debug)]
pub(crate) struct ViewList {
    words: &'static [AtomicU64],
}

/// A view as the list has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed(u64);

impl Listed {
    pub(crate) const fn base(self) -> u64 {
        self.0 & !LOW
    }

    pub(crate) const fn rights(self) -> ViewRights {
        if self.0 & READ_ONLY != 0 { ViewRights::ReadOnly } else { ViewRights::ReadWrite }
    }

    pub(crate) const fn policy(self) -> FaultPolicy {
        if self.0 & LAZY != 0 { FaultPolicy::Lazy } else { FaultPolicy::Segv }
    }
}

impl ViewList {
    /// A list over words that hold 0.
    pub(crate) const fn new(words: &'static [AtomicU64]) -> Self {
        Self { words }
    }

    /// What tells this list from every other that there is: where it lies. (One without words has no views.)
    pub(crate) fn identity(&self) -> usize {
        self.words.as_ptr().addr()
    }

    /// Whether there can be a view at all.
    pub(crate) const fn has_room_for_any(&self) -> bool {
        !self.words.is_empty()
    }

    /// Lists a view; `None` if all places are taken. A full barrier follows before it is linked.
    pub(crate) fn add(&self, base: ProgramBase, rights: ViewRights, policy: FaultPolicy) -> Option<ViewId> {
        let number = NEXT_VIEW.fetch_add(1, Ordering::Relaxed) << NUMBER_SHIFT & LOW;
        let read_only = if rights == ViewRights::ReadOnly { READ_ONLY } else { 0 };
        let lazy = if policy == FaultPolicy::Lazy { LAZY } else { 0 };
        let word = base.address().value() | number | read_only | lazy | LISTED;
        (0..=u8::MAX).zip(self.words).find_map(|(place, entry)| {
            // Acquire: the view whose place it was is flushed. Relaxed in vain: the place is another's.
            entry.compare_exchange(0, word, Ordering::AcqRel, Ordering::Relaxed).ok()?;
            Some(ViewId { place, word })
        })
    }

    /// A view that is being taken away: its number finds it no more. Relaxed: what a fault finds orders nothing.
    pub(crate) fn leave(&self, view: ViewId) -> Option<Listed> {
        self.entry(view)?.store(view.word | LEAVING, Ordering::Relaxed);
        Some(Listed(view.word))
    }

    /// Takes a view off that never was linked, or that leaves and is flushed. Release: pairs with the Acquire of
    /// [`views`](Self::views).
    pub(crate) fn remove(&self, view: ViewId) {
        if let Some(entry) = self.entry_of(view, view.word).or_else(|| self.entry_of(view, view.word | LEAVING)) {
            entry.store(0, Ordering::Release);
        }
    }

    /// A view by its number, as long as it is listed and does not leave.
    pub(crate) fn find(&self, view: ViewId) -> Option<Listed> {
        self.entry(view).map(|_| Listed(view.word))
    }

    fn entry(&self, view: ViewId) -> Option<&AtomicU64> {
        self.entry_of(view, view.word)
    }

    fn entry_of(&self, view: ViewId, word: u64) -> Option<&AtomicU64> {
        self.words.get(usize::from(view.place)).filter(|entry| entry.load(Ordering::Relaxed) == word)
    }

    /// The views that are listed now. Acquire: one that is not found any more has been flushed.
    pub(crate) fn views(&self) -> impl Iterator<Item = Listed> {
        self.words.iter().map(|entry| entry.load(Ordering::Acquire)).filter(|word| *word != 0).map(Listed)
    }

    pub(crate) fn count(&self) -> u32 {
        self.views().map(|_| 1).sum()
    }
}

impl Listed {
    /// The offset of an address in the view; `None` if it is not in it.
    pub(crate) const fn offset_of(self, address: ProgramAddr) -> Option<u64> {
        let offset = address.value().wrapping_sub(self.base());
        if offset < WINDOW_SIZE { Some(offset) } else { None }
    }
}

#[cfg(all(test, not(kernel_arena_loom)))]
mod tests {
    use super::*;

    fn base(address: u64) -> ProgramBase {
        ProgramBase::new(ProgramAddr::new(address)).unwrap()
    }

    #[test]
    fn a_number_is_good_only_as_long_as_its_view_is_listed() {
        let list = ViewList::new((0..2).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak());
        let one = list.add(base(1 << 32), ViewRights::ReadOnly, FaultPolicy::Lazy).unwrap();
        let two = list.add(base(0xffff_ffff_0000_0000), ViewRights::ReadWrite, FaultPolicy::Segv).unwrap();
        assert_eq!(list.add(base(3 << 32), ViewRights::ReadWrite, FaultPolicy::Segv), None);
        let (first, second) = (list.find(one).unwrap(), list.find(two).unwrap());
        assert_eq!((first.base(), first.rights(), first.policy()), (1 << 32, ViewRights::ReadOnly, FaultPolicy::Lazy));
        assert_eq!((second.base(), second.rights()), (0xffff_ffff_0000_0000, ViewRights::ReadWrite));
        assert_eq!(second.policy(), FaultPolicy::Segv);
        assert_eq!(list.leave(one), Some(first));
        let listed: Vec<_> = list.views().map(Listed::base).collect();
        assert_eq!((list.find(one), listed), (None, vec![first.base(), second.base()]), "it is flushed, and not found");
        assert_eq!(list.leave(one), None);
        let other = ViewList::new(vec![AtomicU64::new(two.word), AtomicU64::new(two.word)].leak());
        assert!(other.find(two).is_some() && other.identity() != list.identity(), "a number may come again elsewhere");
        list.remove(one);
        let again = list.add(base(1 << 32), ViewRights::ReadOnly, FaultPolicy::Lazy).unwrap();
        assert_eq!((again.place, list.find(one), list.count()), (one.place, None, 2));
        list.remove(one);
        assert_eq!(list.count(), 2, "a stale number removes nothing");
    }

    #[test]
    fn the_last_of_all_places_is_taken_and_then_there_is_none() {
        let list = ViewList::new((0..u8::MAX).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak());
        let add = |number: u64| list.add(base(number << 32), ViewRights::ReadWrite, FaultPolicy::Segv);
        let places: Vec<_> = (1..=255).map(|number| add(number).unwrap().place).collect();
        assert!(places.into_iter().eq(0..u8::MAX));
        assert_eq!((add(256), list.count()), (None, 255));
    }

    #[test]
    fn offsets_are_those_of_the_view_alone() {
        let view = Listed(7 << 32 | LISTED);
        let offset = |address| view.offset_of(ProgramAddr::new(address));
        assert_eq!([7 << 32, (8 << 32) - 1].map(offset), [Some(0), Some(0xffff_ffff)]);
        assert_eq!([(7 << 32) - 1, 8 << 32, 0].map(offset), [None; 3]);
    }
}
