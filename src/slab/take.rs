//! Objects out of slabs and back: what a refill, a single allocation and a flush do with the bits.

use super::classes::SizeClass;
use super::header::{Description, Header, WORD_OBJECTS};
use super::magazine::Magazine;
use super::{Slab, SlabError};
use crate::Misuse;
use crate::pages::ones;
use crate::source::{MetadataSource, PageSource};
use crate::sync::Ordering;

/// Objects of one word that somebody took out of their slab, which is pinned by that.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    pub(super) header: &'a Header,
    pub(super) slab: Description,
    pub(super) word: u32,
    /// At first at least one bit.
    pub(super) objects: u64,
}

impl Taken<'_> {
    /// Takes the lowest one out.
    fn pop_lowest(&mut self) -> u32 {
        let lowest = self.objects.trailing_zeros() & 63;
        self.objects &= !(1 << lowest);
        self.slab.offset(self.word * WORD_OBJECTS + lowest)
    }

    /// Moves them into a magazine as long as there is room, highest first: so it hands out the lowest first. At most 64
    /// rounds.
    pub(super) fn move_to(&mut self, magazine: &Magazine) {
        let (first, size) = (self.slab.offset(self.word * WORD_OBJECTS), self.slab.class().size_u32());
        magazine.fill(|| {
            let highest = self.objects.checked_ilog2()?;
            self.objects &= !(1 << highest);
            Some(first + highest * size)
        });
    }
}

/// The lowest `count` bits of a word.
fn lowest(word: u64, count: u32) -> u64 {
    if count >= word.count_ones() {
        return word;
    }
    let mut rest = word;
    for _ in 0..count {
        rest &= rest - 1;
    }
    word & !rest
}

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Takes between 1 and `count` objects of a class, all of one word: of the slab on top of the list, else of a new
    /// one, else of wherever there is one.
    pub(super) fn take(&self, class: SizeClass, count: u32) -> Result<Taken<'_>, SlabError> {
        let listed = self.take_listed(class, count).map(Ok);
        let taken = listed
            .unwrap_or_else(|| self.grow(class, count).or_else(|error| self.last_resort(class, count).ok_or(error)))?;
        self.count_out(class, taken.objects.count_ones());
        Ok(taken)
    }

    fn take_listed(&self, class: SizeClass, count: u32) -> Option<Taken<'_>> {
        let state = self.class(class)?;
        loop {
            let (top, index) = state.partial.peek()?;
            let header = self.tables().headers.get(index)?;
            if let Some(taken) = self.take_from(header, class, count) {
                return Some(taken);
            }
            self.take_off(state, top, header);
        }
    }

    /// Takes objects out of a slab, if it is of this class and has any. One atomic operation, unless somebody else is
    /// taking them at the same moment.
    fn take_from<'a>(&self, header: &'a Header, class: SizeClass, count: u32) -> Option<Taken<'a>> {
        let seen = header.description().filter(|slab| slab.class() == class)?;
        (0..seen.words()).find_map(|word| {
            let wanted = lowest(header.hint(word), count);
            let objects = if wanted == 0 { 0 } else { header.take(word, wanted) };
            if objects == 0 {
                return None;
            }
            // Pinned now: what the description says is what the bits mean.
            match header.description() {
                Some(slab) if slab.class() == class => {
                    self.note_taken(header);
                    Some(Taken { header, slab, word, objects })
                }
                _ => {
                    self.put(header, word, objects);
                    None
                }
            }
        })
    }

    /// When there are no pages: objects of the class are looked for wherever they may be. Only if there is none, and
    /// only if it can help, others give up what is kept for speed.
    #[cold]
    fn last_resort(&self, class: SizeClass, count: u32) -> Option<Taken<'_>> {
        let grow = || {
            self.class(class)?.most_pages.store(0, Ordering::Relaxed);
            self.grow(class, count).ok()
        };
        let found = self.find_any(class, count).or_else(|| self.give_way(grow));
        // What others have freed meanwhile, or what was in the way of somebody.
        found.or_else(|| self.find_in_slabs(class, count))
    }

    /// Objects of the class that are in no list: in quarantine, in its depot, in magazines that a CPU left behind, in
    /// slabs that others have in their hands. Takes nothing from other classes.
    fn find_any(&self, class: SizeClass, count: u32) -> Option<Taken<'_>> {
        self.end_quarantine();
        self.unload_depot(class);
        self.find_in_slabs(class, count).or_else(|| {
            self.empty_idle_racks(Some(class));
            self.find_in_slabs(class, count)
        })
    }

    /// Looks at every slab, if there can be an object in any.
    fn find_in_slabs(&self, class: SizeClass, count: u32) -> Option<Taken<'_>> {
        if self.class(class)?.free() == 0 {
            return None;
        }
        self.tables().headers.iter().find_map(|header| self.take_from(header, class, count))
    }

    /// Puts objects of one word back into their slab, which stays, however empty.
    pub(super) fn put(&self, header: &Header, word: u32, objects: u64) {
        if header.give(word, objects) == 0 {
            self.list(header);
        }
        self.note_if_empty(header);
    }

    /// Puts objects of one word back for good: their slab goes if it is empty and there are enough others. They are
    /// counted by the caller.
    #[inline]
    pub(super) fn put_back(&self, header: &Header, slab: Description, word: u32, objects: u64) {
        let before = header.give(word, objects);
        if before == 0 || before & objects != 0 || before | objects == slab.all(word) {
            self.was_put_back(header, slab, word, (before, objects));
        }
    }

    /// After objects were put back into a word that had none, or has all now, or had them already.
    #[cold]
    fn was_put_back(&self, header: &Header, slab: Description, word: u32, (before, objects): (u64, u64)) {
        if before == 0 {
            self.list(header);
        }
        for bit in ones(before & objects) {
            self.was_there(slab, word * WORD_OBJECTS + bit);
        }
        if before | objects == slab.all(word) && self.note_if_empty(header) && self.is_spare(slab) {
            self.retire(header, slab);
        }
    }

    /// An object came back that was there already: somebody freed it twice. It was counted as back each time.
    #[cold]
    pub(super) fn was_there(&self, slab: Description, object: u32) {
        self.count_out(slab.class(), 1);
        self.misuse(slab.offset(object), Misuse::NotLive);
    }

    /// The slab that an offset lies in, and which of its objects starts there.
    #[inline]
    pub(super) fn find(&self, offset: u32) -> Option<(&Header, Description, u32)> {
        let header = self.tables().map.get(offset >> crate::PAGE_SHIFT)?;
        let slab = header.description()?;
        Some((header, slab, slab.object_at(offset)?))
    }

    /// Puts one object back that is in nobody's magazine.
    pub(super) fn put_one(&self, offset: u32) {
        match self.find(offset) {
            Some((header, slab, object)) => {
                self.count_in(slab.class(), 1);
                self.put_back(header, slab, object / WORD_OBJECTS, 1 << (object % WORD_OBJECTS));
            }
            None => _ = self.misuse(offset, Misuse::NoObjects),
        }
    }

    /// Takes one object that goes through no magazine.
    pub(super) fn take_one(&self, class: SizeClass) -> Result<u32, SlabError> {
        Ok(self.take(class, 1)?.pop_lowest())
    }

    /// Hands out one of the objects, and keeps the others in the magazine of the place that this runs on, as long as there is
    /// room: it may be another place than the one for which they were taken, or have been filled meanwhile. What is left
    /// goes back.
    pub(super) fn keep_all_but_one(&self, class: SizeClass, mut taken: Taken<'_>) -> u32 {
        let object = taken.pop_lowest();
        self.on_rack(|rack| taken.move_to(rack.loaded(class)));
        if taken.objects != 0 {
            self.count_in(class, taken.objects.count_ones());
            self.put_back(taken.header, taken.slab, taken.word, taken.objects);
        }
        object
    }
}
