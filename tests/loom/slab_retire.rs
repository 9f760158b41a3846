//! Empty slabs give their pages back: at most once, and never while somebody has an object of them.
//!
//! Guards: a slab's pages go back only when every one of its bits was taken by whoever retires it, and the description
//! that was read before is read again then; a header is passed on once, by whoever comes last of those who retire, list
//! and take off; whoever is late finds it free, or another slab's, of another class, and does no harm.
//!
//! No CPU has magazines here. A class keeps as many free objects as a slab has, so in most models a second slab stands
//! by.

use std::sync::Arc;

use kernel_arena::ArenaPtr;
use kernel_arena::slab::Mode;

use crate::explore::{explore_without_arena, preemptions, preemptions_if_long};
use crate::race::{race, race_of_three};
use crate::slab::{
    Cpus, LARGE, ModelSlab, SMALL, alloc, drain, finish, free, headers_come_back, lists_are_complete, spare, start,
    try_alloc,
};

/// The last free of the slab, and then, if its page went back, a slab of another class on it, with the same header.
fn free_and_reuse(slab: &ModelSlab, object: ArenaPtr) -> Option<ArenaPtr> {
    free(slab, object, LARGE);
    if slab.source().pages_lent() == 1 { try_alloc(slab, SMALL) } else { None }
}

fn rest(slab: Arc<ModelSlab>, small: Option<ArenaPtr>) {
    lists_are_complete(&slab);
    if let Some(object) = small {
        free(&slab, object, SMALL);
    }
    headers_come_back(&slab);
    finish(slab);
}

#[test]
fn of_two_last_frees_at_most_one_gives_the_page_back() {
    explore_without_arena("two last frees", preemptions(3), 2, |first| {
        let (slab, one, two) = spare();
        let free_one = move |slab: &ModelSlab| free(slab, one, LARGE);
        race(first, &slab, free_one, move |slab| free(slab, two, LARGE));
        rest(slab, None);
    });
}

#[test]
fn of_two_last_frees_into_two_words_exactly_one_gives_the_page_back() {
    explore_without_arena("two last frees into two words", preemptions(2), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Unnamed);
        let objects: Vec<_> = (0..8).map(|_| alloc(&slab, SMALL)).collect();
        for kept in [1, 3, 4, 5, 6, 7] {
            free(&slab, objects[kept], SMALL);
        }
        let (one, two) = (objects[0], objects[2]);
        let free_one = move |slab: &ModelSlab| free(slab, one, SMALL);
        race(first, &slab, free_one, move |slab| free(slab, two, SMALL));
        assert_eq!(slab.source().pages_lent(), 1, "neither saw that the slab is empty");
        rest(slab, None);
    });
}

#[test]
fn whoever_lists_a_slab_late_may_find_another_class() {
    explore_without_arena("late lister against retirement and reuse", preemptions(3), 2, |first| {
        let (slab, one, two) = spare();
        let free_two = move |slab: &ModelSlab| free(slab, two, LARGE);
        let (small, _) = race(first, &slab, move |slab| free_and_reuse(slab, one), free_two);
        rest(slab, small);
    });
}

#[test]
fn a_refill_that_peeked_at_a_slab_that_retires_takes_what_is_there() {
    explore_without_arena("refill against retirement and reuse", preemptions(2), 2, |first| {
        let (slab, one, two) = spare();
        free(&slab, two, LARGE);
        let refill = |slab: &ModelSlab| try_alloc(slab, LARGE);
        let (small, large) = race(first, &slab, move |slab| free_and_reuse(slab, one), refill);
        large.into_iter().for_each(|object| free(&slab, object, LARGE));
        rest(slab, small);
    });
}

#[test]
fn a_late_lister_and_a_refill_meet_at_a_header_that_is_another_slabs() {
    explore_without_arena("late lister, refill, retirement and reuse", preemptions(2), 3, |first| {
        let (slab, one, two) = spare();
        let free_two = move |slab: &ModelSlab| free(slab, two, LARGE);
        let refill = |slab: &ModelSlab| try_alloc(slab, LARGE);
        let (small, (), large) = race_of_three(first, &slab, move |slab| free_and_reuse(slab, one), free_two, refill);
        large.into_iter().for_each(|object| free(&slab, object, LARGE));
        rest(slab, small);
    });
}

#[test]
fn a_drain_and_a_last_free_retire_a_slab_once() {
    explore_without_arena("drain against last free", preemptions(2), 2, |first| {
        let (slab, one, two) = spare();
        free(&slab, two, LARGE);
        race(first, &slab, |slab| slab.drain(), move |slab| free(slab, one, LARGE));
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        rest(slab, None);
    });
}

#[test]
fn two_drains_retire_each_slab_once() {
    explore_without_arena("two drains", preemptions_if_long(1, 2), 2, |first| {
        let (slab, one, two) = spare();
        free(&slab, two, LARGE);
        free(&slab, one, LARGE);
        let drain = |slab: &ModelSlab| slab.drain();
        let (ours, theirs) = race(first, &slab, drain, drain);
        assert!(ours + theirs <= 2);
        rest(slab, None);
    });
}

#[test]
fn an_allocation_that_finds_no_page_takes_the_place_of_an_empty_slab() {
    explore_without_arena("last resort against free", preemptions(2), 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let (one, two) = (alloc(&slab, LARGE), alloc(&slab, LARGE));
        free(&slab, two, LARGE);
        let (_, small) = race(first, &slab, move |slab| free(slab, one, LARGE), |slab| slab.alloc(SMALL).ok());
        let again = small.or_else(|| slab.alloc(SMALL).ok()).expect("the slab is empty");
        // SAFETY: allocated above, with that layout.
        unsafe { slab.free(again, SMALL) };
        rest(slab, None);
    });
}

#[test]
fn an_allocation_that_fails_hides_no_object_of_another_class() {
    explore_without_arena("last resort against alloc of another class", preemptions(2), 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let (one, two) = (alloc(&slab, LARGE), alloc(&slab, LARGE));
        free(&slab, two, LARGE);
        let fail = |slab: &ModelSlab| assert_eq!(try_alloc(slab, SMALL), None, "the page is taken");
        let ((), large) = race(first, &slab, fail, |slab| alloc(slab, LARGE));
        free(&slab, one, LARGE);
        free(&slab, large, LARGE);
        rest(slab, None);
    });
}
