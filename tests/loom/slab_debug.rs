//! The debug mode's quarantine, here of two objects.
//!
//! Guards: whoever swaps a word of it has the object that was in it, and comes after whoever put it there.

use std::alloc::Layout;

use kernel_arena::slab::Mode;

use crate::explore::{explore_without_arena, preemptions};
use crate::race::race;
use crate::slab::{Cpus, ModelSlab, alloc, drain, finish, free, lists_are_complete, start};

/// With its canary a large object.
const WATCHED: Layout = match Layout::from_size_align(2040, 8) {
    Ok(layout) => layout,
    Err(_) => panic!("a multiple of 8"),
};

#[test]
fn an_object_in_quarantine_is_handed_on_once() {
    explore_without_arena("two frees into quarantine", preemptions(2), 2, |first| {
        let slab = start(2, Mode::Debug, Cpus::Unnamed);
        let [one, two, three] = [(); 3].map(|()| alloc(&slab, WATCHED));
        let free_one = move |slab: &ModelSlab| free(slab, one, WATCHED);
        // The last of three frees ends the quarantine of the first.
        let free_and_alloc = move |slab: &ModelSlab| {
            free(slab, two, WATCHED);
            free(slab, three, WATCHED);
            alloc(slab, WATCHED)
        };
        let ((), object) = race(first, &slab, free_one, free_and_alloc);
        free(&slab, object, WATCHED);
        drain(&slab);
        assert_eq!(slab.source().misuses(), 0);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}

#[test]
fn a_drain_and_a_free_share_the_quarantine() {
    explore_without_arena("drain of the quarantine against free", preemptions(2), 2, |first| {
        let slab = start(2, Mode::Debug, Cpus::Unnamed);
        let (one, two) = (alloc(&slab, WATCHED), alloc(&slab, WATCHED));
        free(&slab, one, WATCHED);
        race(first, &slab, |slab| slab.drain(), move |slab| free(slab, two, WATCHED));
        lists_are_complete(&slab);
        drain(&slab);
        assert_eq!(slab.source().misuses(), 0);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}
