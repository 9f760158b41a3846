//! One CPU's memory of translations: pages, and the tables on the way to them ("paging-structure caches", "walk caches").
//!
//! An entry belongs to an address-space tag (PCID, ASID) and is forgotten only when it is flushed under that tag, or evicted
//! by the machine's whim. Entries that are not present are never remembered (Intel SDM vol. 3, 5.10.2; Arm ARM D8.16.1).

use std::collections::{BTreeMap, HashMap};

use super::format::Entry;

/// A PCID or an ASID.
pub(super) type AsTag = u16;

/// Which entry of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// A leaf: 4 KiB.
    Page,
    /// An entry of a directory: 2 MiB.
    Directory,
    /// A lent entry of the window: 1 GiB.
    Upper,
}

impl Level {
    pub(super) const fn shift(self) -> u32 {
        12 + 9 * self as u32
    }
}

/// How deep a flush goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Levels {
    /// Pages; walk caches stay.
    Leaves,
    /// Walk caches too.
    All,
}

#[derive(Default)]
pub(super) struct Tlb {
    levels: [BTreeMap<(AsTag, u64), Entry>; 3],
    /// How many entries of any level point to a frame.
    uses: HashMap<u64, usize>,
}

impl Tlb {
    pub(super) fn get(&self, level: Level, tag: AsTag, address: u64) -> Option<Entry> {
        self.levels[level as usize].get(&(tag, address >> level.shift())).copied()
    }

    /// Remembers an entry, unless one is remembered already: an old one is as good, until it is flushed.
    pub(super) fn insert(&mut self, level: Level, tag: AsTag, address: u64, entry: Entry) {
        let key = (tag, address >> level.shift());
        self.levels[level as usize].entry(key).or_insert_with(|| {
            *self.uses.entry(entry.frame).or_default() += 1;
            entry
        });
    }

    /// Forgets `first..=last` under one tag. The pages that were remembered, as addresses.
    pub(super) fn forget(&mut self, tag: AsTag, first: u64, last: u64, levels: Levels) -> Vec<u64> {
        if levels == Levels::All {
            self.forget_level(Level::Upper, tag, first, last);
            self.forget_level(Level::Directory, tag, first, last);
        }
        self.forget_level(Level::Page, tag, first, last)
    }

    fn forget_level(&mut self, level: Level, tag: AsTag, first: u64, last: u64) -> Vec<u64> {
        let shift = level.shift();
        let map = &mut self.levels[level as usize];
        let keys: Vec<u64> =
            map.range((tag, first >> shift)..=(tag, last >> shift)).map(|((_, number), _)| *number).collect();
        for number in &keys {
            let entry = map.remove(&(tag, *number)).expect("it was just there");
            *self.uses.get_mut(&entry.frame).expect("it is counted") -= 1;
        }
        keys.into_iter().map(|number| number << shift).collect()
    }

    /// Whether a page or a table is remembered at this frame.
    pub(super) fn remembers(&self, frame: u64) -> bool {
        self.uses.get(&frame).is_some_and(|uses| *uses != 0)
    }

    /// Whether anything of `first..=last` is remembered under a tag.
    pub(super) fn knows(&self, tag: AsTag, first: u64, last: u64) -> bool {
        [Level::Page, Level::Directory, Level::Upper].into_iter().any(|level| {
            let shift = level.shift();
            self.levels[level as usize].range((tag, first >> shift)..=(tag, last >> shift)).next().is_some()
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.iter().all(BTreeMap::is_empty)
    }
}
