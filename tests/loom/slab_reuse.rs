//! Headers that stand for one slab after another, and those who come late.
//!
//! Guards: a description that was read before a bit was taken is read again after it, by whoever takes objects and by
//! whoever retires; whoever took what is not his puts it back where others find it; a header is passed on once for each
//! time that it was retired, though who is to do it may come so late that it has been retired again.
//!
//! No CPU has magazines here. Each model takes a header through two lives: a slab of large objects, which is spare, and
//! one of small ones on the same page.

use std::sync::Arc;

use kernel_arena::ArenaPtr;
use kernel_arena::slab::Mode;

use crate::explore::{explore_without_arena, preemptions, preemptions_if_long};
use crate::race::race;
use crate::slab::{
    Cpus, LARGE, ModelSlab, SMALL, alloc, finish, free, headers_come_back, lists_are_complete, spare, start, try_alloc,
};

/// Frees what is left; all must be as if nothing had happened.
fn rest(slab: Arc<ModelSlab>, large: Option<ArenaPtr>, small: Option<ArenaPtr>) {
    lists_are_complete(&slab);
    large.into_iter().for_each(|object| free(&slab, object, LARGE));
    small.into_iter().for_each(|object| free(&slab, object, SMALL));
    headers_come_back(&slab);
    finish(slab);
}

/// A small object on the page that has gone back, if it has.
fn reuse(slab: &ModelSlab) -> Option<ArenaPtr> {
    if slab.source().pages_lent() == 1 { try_alloc(slab, SMALL) } else { None }
}

#[test]
fn a_refill_that_meets_another_class_puts_back_what_it_took() {
    explore_without_arena("refill against a header's next life", preemptions(2), 2, |first| {
        let (slab, one, two) = spare();
        free(&slab, two, LARGE);
        let next_life = move |slab: &ModelSlab| {
            free(slab, one, LARGE);
            // Takes the retired slab off the list.
            (try_alloc(slab, LARGE), reuse(slab))
        };
        let ((ours, small), theirs) = race(first, &slab, next_life, |slab| try_alloc(slab, LARGE));
        ours.into_iter().for_each(|object| free(&slab, object, LARGE));
        rest(slab, theirs, small);
    });
}

#[test]
fn whoever_retires_late_leaves_a_slab_of_another_class_alone() {
    explore_without_arena("retirement against a header's next life", preemptions_if_long(1, 2), 2, |first| {
        let (slab, one, two) = spare();
        free(&slab, two, LARGE);
        let next_life = |slab: &ModelSlab| {
            // Perhaps the last objects of the slab: then they are freed last.
            try_alloc(slab, LARGE).into_iter().for_each(|object| free(slab, object, LARGE));
            let large = try_alloc(slab, LARGE);
            let small = reuse(slab).and_then(|one| {
                let (two, three) = (try_alloc(slab, SMALL), try_alloc(slab, SMALL));
                free(slab, one, SMALL);
                two.into_iter().for_each(|object| free(slab, object, SMALL));
                three
            });
            (large, small)
        };
        let ((large, small), ()) = race(first, &slab, next_life, move |slab| free(slab, one, LARGE));
        rest(slab, large, small);
    });
}

#[test]
fn whoever_passes_a_header_on_late_leaves_its_next_retirement_alone() {
    explore_without_arena("pass-on against a header's next retirement", preemptions_if_long(2, 3), 2, |first| {
        // Three slabs want the second page of headers, so that one is left: it is lost if two stacks share a link.
        let slab = start(4, Mode::Fast, Cpus::Unnamed);
        let [one, two, rest_of_it @ ..] = [(); 6].map(|()| alloc(&slab, LARGE));
        rest_of_it.into_iter().for_each(|object| free(&slab, object, LARGE));
        let next_life = move |slab: &ModelSlab| {
            free(slab, two, LARGE);
            let small = alloc(slab, SMALL);
            free(slab, small, SMALL);
            slab.drain();
        };
        race(first, &slab, move |slab| free(slab, one, LARGE), next_life);
        rest(slab, None, None);
    });
}

#[test]
fn a_retirement_that_fails_half_way_puts_back_what_it_took() {
    explore_without_arena("retirement against refills", preemptions(2), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Unnamed);
        let objects: Vec<_> = (0..8).map(|_| alloc(&slab, SMALL)).collect();
        // The first slab last: it is on top of the list.
        for freed in [4, 5, 6, 7, 1, 2, 3] {
            free(&slab, objects[freed], SMALL);
        }
        let last = objects[0];
        let refill = |slab: &ModelSlab| [(); 3].map(|()| try_alloc(slab, SMALL));
        let ((), taken) = race(first, &slab, move |slab| free(slab, last, SMALL), refill);
        lists_are_complete(&slab);
        taken.into_iter().flatten().for_each(|object| free(&slab, object, SMALL));
        rest(slab, None, None);
    });
}
