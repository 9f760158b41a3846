//! Runs of pages that are kept: taken, kept and drained by threads of one CPU, which interrupt each other, and by another CPU.
//!
//! Guards O4 for the run cache: whoever holds the place is alone with what is kept there, so a run goes to one taker, or back to
//! the source, once; and what a CPU that went down has kept goes to whoever drains, or to the next with its number. In the model
//! holding is a lock, as in `slab_preempted`.

use std::sync::Arc;

use kernel_arena::PageRange;
use kernel_arena::slab::Mode;

use crate::explore::{explore_without_arena, preemptions};
use crate::machine::on_cpu;
use crate::race::{First, race, race_of_three};
use crate::slab::{Cpus, ModelSlab, RUN, drain, finish, start};

/// Takes a run, and writes to it; none where all pages are in somebody's hands.
fn take(slab: &ModelSlab) -> Option<PageRange> {
    slab.take_run().inspect(|run| slab.source().hand_out(run.to_ptr(), RUN))
}

/// Writes to a run, and gives it back.
fn give(slab: &ModelSlab, run: PageRange) {
    slab.source().hand_back(run.to_ptr(), RUN);
    // SAFETY: from `take`, and every model gives back once.
    unsafe { slab.give_run_back(run) };
}

fn take_and_give(slab: &ModelSlab) {
    if let Some(run) = take(slab) {
        give(slab, run);
    }
}

/// Every page comes back.
fn end(slab: Arc<ModelSlab>) {
    drain(&slab);
    assert_eq!((slab.source().pages_lent(), slab.source().misuses()), (0, 0));
    finish(slab);
}

/// A run is kept where two threads of one CPU take and give.
fn at_one_rack(first: First, cpus: Cpus) {
    let slab = start(2, Mode::Fast, cpus);
    take_and_give(&slab);
    assert_eq!(slab.stats().kept_run_bytes, 4096);
    race(first, &slab, take_and_give, take_and_give);
    end(slab);
}

#[test]
fn threads_that_hold_share_what_is_kept() {
    explore_without_arena("runs of two threads of one CPU", preemptions(4), 2, |first| {
        at_one_rack(first, Cpus::Holding)
    });
}

/// The same, and nobody holds: both are given the run.
#[test]
#[should_panic]
fn threads_that_do_not_hold_have_the_same_run() {
    explore_without_arena("runs of two threads of one CPU, not held", preemptions(4), 2, |first| {
        at_one_rack(first, Cpus::Preempted)
    });
}

#[test]
fn a_drain_in_between_takes_what_is_kept_or_what_was_given_then() {
    explore_without_arena("runs of one CPU against a drain in between", preemptions(4), 2, |first| {
        let slab = start(2, Mode::Fast, Cpus::Holding);
        let (one, two) = (take(&slab).expect("a page"), take(&slab).expect("a page"));
        give(&slab, one);
        let more = move |slab: &ModelSlab| {
            // There is room for one: the other goes back.
            give(slab, two);
            take(slab)
        };
        let (left, _) = race(first, &slab, more, |slab| slab.drain());
        let left = left.expect("a page is free, or kept here");
        give(&slab, left);
        end(slab);
    });
}

#[test]
fn what_a_cpu_keeps_stays_with_it_whoever_drains() {
    explore_without_arena("a drain against what another CPU keeps", preemptions(2), 3, |first| {
        // So many that each of the CPUs may keep one.
        let slab = start(4, Mode::Fast, Cpus::Named);
        on_cpu(0, || take_and_give(&slab));
        let look = |slab: &ModelSlab| {
            let kept = slab.stats().kept_run_bytes;
            assert!(matches!(kept, 0 | 4096 | 8192), "{kept} bytes are kept");
        };
        race_of_three(
            first,
            &slab,
            take_and_give,
            |slab| {
                take_and_give(slab);
                slab.drain();
            },
            look,
        );
        assert_eq!(slab.stats().kept_run_bytes, 4096, "CPU 0 keeps its run");
        end(slab);
    });
}

#[test]
fn what_a_cpu_left_behind_is_drained_or_found_by_the_next_with_its_number() {
    explore_without_arena("a drain of runs against a CPU's return", preemptions(4), 2, |first| {
        let slab = start(1, Mode::Fast, Cpus::Named);
        on_cpu(2, || take_and_give(&slab));
        slab.source().leave(2);
        let come_back = |slab: &ModelSlab| {
            if slab.source().enter(2) {
                on_cpu(2, || take_and_give(slab));
            }
        };
        race(first, &slab, |slab| slab.drain(), come_back);
        end(slab);
    });
}
