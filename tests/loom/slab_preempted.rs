//! Threads of one CPU at the same magazines: they preempt each other anywhere, but not where one holds its place.
//!
//! Guards: O4. Each piece that relies on the place is held, and what goes from one piece to the next belongs to nobody else.
//! In the model holding is a lock of the two threads: on one CPU, too, who is kept away comes after. Everything else may come
//! in any order, even at once.

use kernel_arena::slab::Mode;

use crate::explore::{explore_without_arena, preemptions};
use crate::race::{First, race};
use crate::slab::{Cpus, LARGE, ModelSlab, SMALL, alloc, drain, finish, free, start};

/// Two threads at magazines that hold an object each: one takes two, one gives two and takes one.
fn at_one_rack(first: First, cpus: Cpus) {
    let slab = start(2, Mode::Fast, cpus);
    let [one, two, three] = [(); 3].map(|()| alloc(&slab, SMALL));
    free(&slab, three, SMALL);
    let give_and_take = move |slab: &ModelSlab| {
        free(slab, one, SMALL);
        free(slab, two, SMALL);
        alloc(slab, SMALL)
    };
    let (mine, others) = race(first, &slab, give_and_take, |slab| [alloc(slab, SMALL), alloc(slab, SMALL)]);
    others.into_iter().chain([mine]).for_each(|object| free(&slab, object, SMALL));
    drain(&slab);
    assert_eq!(slab.source().pages_lent(), 0);
    finish(slab);
}

#[test]
fn threads_that_hold_share_a_rack() {
    explore_without_arena("threads of one CPU", preemptions(2), 2, |first| at_one_rack(first, Cpus::Holding));
}

/// The same, and nobody holds: somebody is given an object that another has, or one that is none.
#[test]
#[should_panic]
fn threads_that_do_not_hold_damage_it() {
    explore_without_arena("threads of one CPU, not held", preemptions(2), 2, |first| {
        at_one_rack(first, Cpus::Preempted)
    });
}

#[test]
fn threads_that_hold_make_one_rack_and_refill_it() {
    explore_without_arena("first use by two threads of one CPU", preemptions(1), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Holding);
        let (one, two) = race(first, &slab, |slab| alloc(slab, SMALL), |slab| alloc(slab, SMALL));
        [one, two].into_iter().for_each(|object| free(&slab, object, SMALL));
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}

#[test]
fn threads_that_hold_exchange_magazines_with_the_depot() {
    explore_without_arena("depot and two threads of one CPU", preemptions(2), 2, |first| {
        let slab = start(3, Mode::Fast, Cpus::Holding);
        let objects = [(); 4].map(|()| alloc(&slab, LARGE));
        let give = move |slab: &ModelSlab| objects.into_iter().for_each(|object| free(slab, object, LARGE));
        let (_, taken) = race(first, &slab, give, |slab| {
            let object = alloc(slab, LARGE);
            slab.drain();
            object
        });
        free(&slab, taken, LARGE);
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}
