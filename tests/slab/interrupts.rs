//! An interrupt, or another CPU, at every point of every operation: it allocates and frees as well, and neither harms
//! the other.

use std::rc::Rc;

use kernel_arena::AllocError;
use kernel_arena::slab::{Mode, SlabError};

use super::bench::{Bench, Object, bytes};
use super::cpus::{holds, interrupt_at, interrupted, nameless, on, preempt_at};

/// Something of everything, in few pages: growth, magazines, depots, overflow, retirement, drain, exhaustion.
fn story(bench: &Bench) {
    let large = bench.alloc_many(bytes(2048), 20);
    let small: Vec<Object> = (0..300).filter_map(|_| bench.alloc(bytes(200)).ok()).collect();
    let checked: Vec<Object> = (0..3).filter_map(|_| bench.alloc_checked(bytes(200)).ok()).collect();
    nameless(|| bench.free_all(large));
    on(2, 0, || bench.free_all(small));
    bench.free_all(checked);
    let whole: Vec<Object> = (0..40).filter_map(|_| tolerate(bench.alloc(bytes(8192)))).collect();
    bench.slab.drain();
    bench.free_all(whole);
    bench.slab.drain();
}

fn tolerate(result: Result<Object, SlabError>) -> Option<Object> {
    match result {
        Ok(object) => Some(object),
        Err(SlabError::Pages(AllocError::NoSpace(_))) => None,
        Err(error) => panic!("{error}"),
    }
}

/// What comes in between.
fn intrude(bench: &Bench, leave: bool) {
    let sizes = [200, 2048, 8192, 40];
    let mut mine: Vec<Object> = sizes.iter().filter_map(|size| tolerate(bench.alloc(bytes(*size)))).collect();
    mine.extend(sizes.iter().filter_map(|size| tolerate(bench.alloc_checked(bytes(*size)))));
    // Figures may be anything but a panic here.
    let _ = bench.slab.stats();
    if leave {
        mine.truncate(mine.len() / 2);
    }
    bench.free_all(mine);
}

/// The story, interrupted at every `step`-th point from `first` on.
fn everywhere(mode: Mode, first: u64, step: usize, intruder: impl Fn(&Bench) + Copy + 'static) {
    every_time(mode, first, step, |point, inner| interrupt_at(point, move || intruder(&inner)));
}

/// The story, into which another thread of the same CPU comes, once at every `step`-th point from `first` on.
fn preempted_everywhere(mode: Mode, first: u64, step: usize, intruder: impl Fn(&Bench) + Copy + 'static) {
    every_time(mode, first, step, |point, inner| preempt_at(point, move || intruder(&inner)));
}

fn every_time(mode: Mode, first: u64, step: usize, come: impl Fn(u64, Rc<Bench>)) {
    let mut points = 0;
    for point in (first..).step_by(step) {
        let bench = Bench::with(64, mode);
        let inner = Rc::clone(&bench);
        come(point, inner);
        story(&bench);
        let done = !interrupted();
        bench.check_all();
        if mode == Mode::Fast {
            bench.check_figures();
        }
        bench.free_all(bench.objects());
        bench.drain_everywhere(3);
        assert_eq!(bench.lab.pages_out(), 0, "pages are lost after an interrupt at {point}");
        assert_eq!(bench.misuses(), [], "after an interrupt at {point}");
        bench.finish();
        points = point;
        if done {
            break;
        }
    }
    assert!(points > 150, "the story has {points} points");
}

#[test]
fn an_interrupt_at_any_point_does_no_harm() {
    everywhere(Mode::Fast, 0, 2, |bench| intrude(bench, false));
}

#[test]
fn an_interrupt_that_keeps_what_it_took_does_no_harm() {
    everywhere(Mode::Fast, 1, 3, |bench| intrude(bench, true));
}

#[test]
fn an_interrupt_that_drains_does_no_harm() {
    everywhere(Mode::Fast, 0, 2, |bench| {
        intrude(bench, true);
        bench.slab.drain();
    });
}

#[test]
fn another_cpu_at_any_point_does_no_harm() {
    everywhere(Mode::Fast, 2, 3, |bench| on(1, 0, || intrude(bench, true)));
}

#[test]
fn a_cpu_without_a_name_at_any_point_does_no_harm() {
    everywhere(Mode::Fast, 0, 3, |bench| nameless(|| intrude(bench, false)));
}

#[test]
fn a_cpu_without_a_name_that_drains_does_no_harm() {
    everywhere(Mode::Fast, 1, 3, |bench| {
        nameless(|| {
            intrude(bench, true);
            bench.slab.drain();
        });
    });
}

#[test]
fn an_interrupt_that_frees_what_is_out_does_no_harm() {
    everywhere(Mode::Fast, 1, 4, |bench| {
        // The newest objects are the interrupted code's; the oldest of all are as good as any.
        let victims: Vec<Object> = bench.objects().into_iter().filter(|object| object.checked).collect();
        assert!(victims.len() <= 3);
        bench.slab.drain();
        intrude(bench, true);
    });
}

#[test]
fn an_interrupt_at_any_point_of_the_debug_mode_does_no_harm() {
    everywhere(Mode::Debug, 0, 5, |bench| {
        intrude(bench, true);
        bench.slab.drain();
    });
}

#[test]
fn a_thread_of_the_same_cpu_at_any_point_does_no_harm() {
    preempted_everywhere(Mode::Fast, 0, 31, |bench| intrude(bench, true));
}

#[test]
fn a_thread_of_the_same_cpu_that_drains_does_no_harm() {
    preempted_everywhere(Mode::Fast, 1, 31, |bench| {
        intrude(bench, true);
        bench.slab.drain();
    });
}

#[test]
fn a_thread_of_the_same_cpu_that_fills_magazines_does_no_harm() {
    preempted_everywhere(Mode::Fast, 2, 29, |bench| {
        for size in [200, 2048] {
            let mine: Vec<Object> = (0..40).filter_map(|_| tolerate(bench.alloc(bytes(size)))).collect();
            bench.free_all(mine);
        }
    });
}

/// The rack and the magazines that the slower one has made go back, and what the faster one has put into his is not lost.
#[test]
fn of_two_threads_that_use_a_place_first_one_makes_its_magazines() {
    let mut points = 0;
    for point in 0.. {
        let bench = Bench::new(64);
        let inner = Rc::clone(&bench);
        preempt_at(point, move || {
            let objects = inner.alloc_many(bytes(200), 20);
            inner.free_all(objects);
        });
        let objects = bench.alloc_many(bytes(200), 5);
        let done = !interrupted();
        bench.free_all(objects);
        bench.check_figures();
        bench.drain_everywhere(1);
        assert_eq!(bench.lab.pages_out(), 0, "an object is lost after a thread came at {point}");
        bench.finish();
        points = point;
        if done {
            break;
        }
    }
    assert!(points > 20, "the first use has {points} points");
}

/// An object that is at hand costs one hold, and so does one for which there is room.
#[test]
fn a_fast_path_holds_once() {
    let bench = Bench::new(64);
    let object = bench.alloc(bytes(64)).unwrap();
    let before = holds();
    bench.free_all([object]);
    assert_eq!(holds() - before, 1);
    let object = bench.alloc(bytes(64)).unwrap();
    assert_eq!(holds() - before, 2);
    bench.free_all([object]);
    bench.drain_everywhere(1);
    bench.finish();
}

/// The memory that an interrupted operation has in its hands is missing meanwhile; afterwards it is there.
#[test]
fn an_interrupt_that_finds_no_memory_loses_none() {
    for point in 0..200 {
        let bench = Bench::new(8);
        let inner = Rc::clone(&bench);
        interrupt_at(point, move || {
            let all = inner.exhaust(bytes(4096));
            inner.free_all(all);
            inner.slab.drain();
        });
        let first: Vec<Object> = (0..50).filter_map(|_| tolerate(bench.alloc(bytes(600)))).collect();
        bench.free_all(first);
        bench.slab.drain();
        interrupted();
        on(0, 1, || bench.slab.drain());
        assert_eq!(bench.exhaust(bytes(4096)).len(), 8, "after an interrupt at {point}");
        bench.check_figures();
        bench.finish();
    }
}

/// A handler that looks for an object takes the slab off the list that is just going: the retirement passes its header on.
#[test]
fn bookkeeping_of_a_slab_that_is_unlisted_while_it_goes_is_used_again() {
    let bench = Bench::new(64);
    let rounds = |count: u64| {
        for round in 0..count {
            let object = bench.alloc(bytes(512)).unwrap();
            bench.free(object);
            let inner = Rc::clone(&bench);
            interrupt_at(round % 4, move || {
                let object = inner.alloc(bytes(512)).unwrap();
                inner.free(object);
            });
            bench.slab.drain();
            interrupted();
            bench.slab.drain();
        }
        bench.lab.metadata_out()
    };
    nameless(|| assert_eq!(rounds(40), rounds(1000)));
    assert_eq!(bench.lab.pages_out(), 0);
    bench.finish();
}
