//! The list of slabs that may have objects in them, one stack a class: a hint, so that a refill need not look at every
//! slab (O6).
//!
//! Two flags of a header say where it is:
//!
//! | listed | retired | the header | which goes on |
//! |---|---|---|---|
//! | - | - | stands for a slab that is on no stack, or for none: in the store, or new | by [`list`](Slab::list) to *listed*, by `retire` to *retired* |
//! | set | - | is on a stack, or held by an operation: on its way there, or just taken off | by [`unlist`](Slab::unlist) back, by `retire` to both |
//! | - | set | stands for nothing: the pages are gone | by [`pass_on`](Slab::pass_on), once, into the store |
//! | set | set | the same, but its name is on a stack, or held by an operation | by [`unlist`](Slab::unlist) to *retired*, and at once on |
//!
//! Flags change by read-modify-writes, Acquire and Release. Whoever puts the first object into an empty word sets its bit
//! and then *listed*; whoever changes it from clear to set puts the header on the stack. Whoever finds a slab without
//! objects takes it off, clears *listed*, and then looks again: either this look comes second, and sees the bit, or the other
//! does, finds the flag clear, and lists. (A load instead would want a full fence on both sides.)
//!
//! Listing may be late, and find the header in any row: it sets the flag first and reads the description then, puts
//! it on the stack of the class that it names, and if it names none clears the flag again.

use super::header::{Header, LISTED, RETIRED};
use super::{Slab, class::ClassState};
use crate::source::{MetadataSource, PageSource};
use crate::stack::{TaggedStack, Top};
use crate::sync::Ordering;

impl<S: PageSource, M: MetadataSource> Slab<S, M> {
    /// Puts a slab on the list of its class, if it is not there.
    ///
    /// The loop goes round only if somebody gave the header a new life meanwhile: whoever sees its objects
    /// (`has_objects`, Acquire) sees its description, too.
    pub(super) fn list(&self, header: &Header) {
        while header.state.fetch_or(LISTED, Ordering::AcqRel) & LISTED == 0 {
            let class = header.description().and_then(|slab| self.class(slab.class()));
            match class {
                Some(class) => return class.partial.push(header.index(), &self.tables().headers),
                None if self.unlist(header) => {}
                None => return,
            }
        }
    }

    /// Clears the flag of a header that is on no stack; says whether it should be listed again.
    fn unlist(&self, header: &Header) -> bool {
        if header.state.fetch_and(!LISTED, Ordering::AcqRel) & RETIRED != 0 {
            self.pass_on(header);
            return false;
        }
        header.has_objects()
    }

    /// Takes the slab that was seen on top off the list, unless something happened meanwhile.
    pub(super) fn take_off(&self, class: &ClassState, top: Top, header: &Header) {
        if class.partial.pop_exactly(top, header.index(), &self.tables().headers) && self.unlist(header) {
            self.list(header);
        }
    }

    /// Gives the header of a retired slab to whoever needs one next. Several may find that it is time; one does it.
    /// Whoever comes so late that it is retired once more, and on a list this time, finds the flag of that and leaves
    /// it alone.
    pub(super) fn pass_on(&self, header: &Header) {
        if header.state.compare_exchange(RETIRED, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.tables().headers.put(header.index());
        }
    }

    /// Takes every slab off a class's list and puts back those that have objects: retired ones pass their headers on.
    pub(super) fn sort_out(&self, class: &ClassState) {
        // In our hands, so the flags stay set.
        let held = TaggedStack::<24>::new();
        // As many as there are, so that slabs which others list meanwhile do not keep us here.
        for _ in 0..self.tables().headers.made() {
            let Some(index) = class.partial.pop(&self.tables().headers) else { break };
            held.push(index, &self.tables().headers);
        }
        while let Some(header) = held.pop(&self.tables().headers).and_then(|index| self.tables().headers.get(index)) {
            if self.unlist(header) {
                self.list(header);
            }
        }
    }
}
