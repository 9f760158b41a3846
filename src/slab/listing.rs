//! The list of slabs that may have objects in them, one stack a class: a hint, so that a refill need not look at every
//! slab (O6).
//!
//! A header is on a stack, or in the hands of whoever puts it there or has just taken it off, exactly while its flag
//! `LISTED` is set; whoever changes the flag from clear to set puts it there. Whoever finds a slab without objects
//! takes it off, clears the flag and then looks again; whoever puts the first object into an empty word sets the bit
//! and then the flag. Both change the flag with a read-modify-write, Acquire and Release: either the one who lists
//! comes first, and the other sees the bit, or he comes second and finds the flag clear. (A load instead would want a
//! full fence on both sides.)
//!
//! A slab that is retired while it is on a stack stays there as a name: whoever takes it off passes the header on. Who
//! lists may be late, too, and find the header retired, free, or standing for a slab of another class: he sets the flag
//! first and reads the description then, puts it on the stack of the class that it names, and if it names none clears
//! the flag again.

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
