//! Several CPUs make what they need at once.
//!
//! Guards: bookkeeping is built before it can be found (Release, Acquire), and of two who build the same the slower
//! gives his page back; two that grow a store take different things.

use kernel_arena::slab::Mode;

use crate::explore::{explore_without_arena, preemptions, preemptions_if_long};
use crate::machine::on_cpu;
use crate::race::race;
use crate::slab::{Cpus, LARGE, ModelSlab, alloc, drain, finish, free, lists_are_complete, start};

#[test]
fn two_cpus_make_their_first_slabs_at_once() {
    explore_without_arena("two grow", preemptions_if_long(1, 2), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Unnamed);
        let grow = |slab: &ModelSlab| alloc(slab, LARGE);
        let (one, two) = race(first, &slab, grow, grow);
        lists_are_complete(&slab);
        free(&slab, one, LARGE);
        free(&slab, two, LARGE);
        lists_are_complete(&slab);
        finish(slab);
    });
}

#[test]
fn two_cpus_get_their_first_magazines_at_once() {
    explore_without_arena("two make racks", preemptions(1), 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let (one, two) = (alloc(&slab, LARGE), alloc(&slab, LARGE));
        slab.source().name_cpus();
        let free_one = move |slab: &ModelSlab| free(slab, one, LARGE);
        race(first, &slab, free_one, move |slab| free(slab, two, LARGE));
        drain(&slab);
        assert_eq!(slab.source().pages_lent(), 0);
        finish(slab);
    });
}

#[test]
fn figures_are_read_while_another_cpu_gets_its_first_magazines() {
    explore_without_arena("figures against a first rack", preemptions(2), 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Unnamed);
        let (one, two) = (alloc(&slab, LARGE), alloc(&slab, LARGE));
        slab.source().name_cpus();
        let (_, stats) = race(first, &slab, move |slab| free(slab, one, LARGE), |slab| slab.stats());
        assert!(stats.classes[1].cached <= 1);
        on_cpu(0, || free(&slab, two, LARGE));
        drain(&slab);
        finish(slab);
    });
}
