//! The list of slabs that may have objects: what is freed while others take is found again.
//!
//! Guards the protocol of the flag: whoever finds a slab without objects takes it off, clears the flag and looks again;
//! whoever puts the first object into a word sets its bit and then the flag. At the end no slab that has objects is off
//! the list. Guards, too, that a bit is set with Release and cleared with Acquire: the next user comes after the last.
//!
//! No CPU has magazines here.

use kernel_arena::ArenaPtr;
use kernel_arena::slab::Mode;
use std::sync::Arc;

use crate::explore::{UNBOUNDED, bounded_unless_long, explore_without_arena, preemptions};
use crate::race::{race, race_of_three};
use crate::slab::{Cpus, LARGE, ModelSlab, SMALL, alloc, drain, finish, free, lists_are_complete, start};

/// A slab that is on the list although both of its objects are out, and these.
fn both_out(pages: u32) -> (Arc<ModelSlab>, ArenaPtr, ArenaPtr) {
    let slab = start(pages, Mode::Fast, Cpus::Unnamed);
    let (one, two) = (alloc(&slab, LARGE), alloc(&slab, LARGE));
    (slab, one, two)
}

#[test]
fn two_that_take_from_one_word_take_different_objects() {
    explore_without_arena("two take from one word", bounded_unless_long(3), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Unnamed);
        let object = alloc(&slab, LARGE);
        free(&slab, object, LARGE);
        let take = |slab: &ModelSlab| alloc(slab, LARGE);
        let (one, two) = race(first, &slab, take, take);
        assert_eq!(slab.source().pages_lent(), 1, "there were two, and nobody else took one");
        free(&slab, one, LARGE);
        free(&slab, two, LARGE);
        lists_are_complete(&slab);
        finish(slab);
    });
}

#[test]
fn an_object_that_is_freed_while_its_slab_is_taken_off_the_list_is_found() {
    explore_without_arena("free against take-off", UNBOUNDED, 2, |first| {
        let (slab, one, two) = both_out(2);
        let (_, three) = race(first, &slab, move |slab| free(slab, one, LARGE), |slab| alloc(slab, LARGE));
        lists_are_complete(&slab);
        free(&slab, two, LARGE);
        free(&slab, three, LARGE);
        lists_are_complete(&slab);
        finish(slab);
    });
}

#[test]
fn a_second_free_into_a_word_may_leave_the_listing_to_the_first() {
    explore_without_arena("two frees against take-off", preemptions(2), 3, |first| {
        let (slab, one, two) = both_out(2);
        let free_one = move |slab: &ModelSlab| free(slab, one, LARGE);
        let free_two = move |slab: &ModelSlab| free(slab, two, LARGE);
        let (_, _, three) = race_of_three(first, &slab, free_one, free_two, |slab| alloc(slab, LARGE));
        lists_are_complete(&slab);
        free(&slab, three, LARGE);
        finish(slab);
    });
}

#[test]
fn sorting_the_list_out_loses_no_slab() {
    explore_without_arena("drain against free and alloc", preemptions(2), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Unnamed);
        let objects: Vec<_> = (0..4).map(|_| alloc(&slab, SMALL)).collect();
        let (one, two) = (objects[0], objects[2]);
        free(&slab, objects[1], SMALL);
        let free_and_alloc = move |slab: &ModelSlab| {
            free(slab, one, SMALL);
            free(slab, two, SMALL);
            alloc(slab, SMALL)
        };
        let (_, again) = race(first, &slab, |slab| slab.drain(), free_and_alloc);
        lists_are_complete(&slab);
        free(&slab, again, SMALL);
        free(&slab, objects[3], SMALL);
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}
