//! Magazines on their way through a depot.
//!
//! Guards: whoever takes a magazine off a stack sees all that was done to it, and to its objects, before it was put
//! there (Release, Acquire), though all within it is Relaxed; and what a depot has no room for goes back to its slab
//! whole.

use kernel_arena::slab::Mode;

use crate::explore::{explore_without_arena, preemptions};
use crate::machine::on_cpu;
use crate::race::race;
use crate::slab::{Cpus, LARGE, ModelSlab, SMALL, alloc, drain, finish, free, lists_are_complete, start};

#[test]
fn a_full_magazine_goes_from_one_cpu_to_another() {
    explore_without_arena("magazine from CPU to CPU", preemptions(2), 2, |first| {
        let slab = start(3, Mode::Fast, Cpus::Named);
        let objects: Vec<_> = on_cpu(0, || (0..5).map(|_| alloc(&slab, SMALL)).collect());
        // Leaves the other CPU with two empty magazines.
        let others: Vec<_> = on_cpu(1, || (0..2).map(|_| alloc(&slab, SMALL)).collect());
        let free_all = move |slab: &ModelSlab| objects.into_iter().for_each(|object| free(slab, object, SMALL));
        let (_, taken) = race(first, &slab, free_all, |slab| [alloc(slab, SMALL), alloc(slab, SMALL)]);
        on_cpu(1, || others.into_iter().chain(taken).for_each(|object| free(&slab, object, SMALL)));
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}

#[test]
fn a_magazine_that_is_flushed_while_another_cpu_refills_loses_nothing() {
    explore_without_arena("flush against refill", preemptions(2), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Named);
        let objects = on_cpu(0, || [alloc(&slab, LARGE), alloc(&slab, LARGE)]);
        on_cpu(1, || {
            let object = alloc(&slab, LARGE);
            free(&slab, object, LARGE);
            slab.drain();
        });
        let free_and_flush = move |slab: &ModelSlab| {
            objects.into_iter().for_each(|object| free(slab, object, LARGE));
            slab.drain();
        };
        let (_, taken) = race(first, &slab, free_and_flush, |slab| alloc(slab, LARGE));
        on_cpu(1, || free(&slab, taken, LARGE));
        lists_are_complete(&slab);
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}

#[test]
fn what_a_cpu_left_behind_goes_to_whoever_drains_or_to_the_next_with_its_number() {
    explore_without_arena("drain of a CPU that is down against its return", preemptions(2), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Named);
        on_cpu(2, || {
            let objects = [alloc(&slab, SMALL), alloc(&slab, SMALL), alloc(&slab, SMALL)];
            objects.into_iter().for_each(|object| free(&slab, object, SMALL));
        });
        slab.source().leave(2);
        let come_back =
            |slab: &ModelSlab| slab.source().enter(2).then(|| on_cpu(2, || [alloc(slab, SMALL), alloc(slab, SMALL)]));
        let (_, taken) = race(first, &slab, |slab| slab.drain(), come_back);
        on_cpu(2, || taken.into_iter().flatten().for_each(|object| free(&slab, object, SMALL)));
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}
