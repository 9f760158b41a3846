//! Memory that runs out: typed errors, nothing lost, and none as long as there is an object anywhere.

use std::sync::Arc;

use kernel_arena::slab::{Mode, SizeClass, Slab, SlabError};
use kernel_arena::source::PageSource;
use kernel_arena::{AllocError, PageCount};

use super::bench::{Bench, bytes, class, layout, whole};
use super::cpus::{nameless, on};
use super::lab::{Fail, Lab, Metadata, Pages};
use crate::machine::Random;

/// Which source fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scarce {
    Pages,
    Metadata,
}

/// A life of all sorts, on two CPUs and one without a name, that takes errors as they come.
fn live(bench: &Bench, expected: Scarce) {
    let random = Random::new(7);
    for step in 0..150 {
        let size = 1 + usize::try_from(random.below(1 << random.below(15))).unwrap();
        let request = layout(size, 1 << random.below(8));
        let turn = || match random.below(4) {
            0 => bench.objects().last().copied().into_iter().for_each(|object| bench.free(object)),
            kind => {
                let many = if size < 64 { 12 } else { 1 };
                for _ in 0..many {
                    let taken = if kind == 1 { bench.alloc_checked(request) } else { bench.alloc(request) };
                    match taken {
                        Ok(_) => {}
                        Err(SlabError::Pages(AllocError::NoSpace(_))) => assert_eq!(expected, Scarce::Pages),
                        Err(SlabError::OutOfMetadata) => assert_eq!(expected, Scarce::Metadata),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        };
        match step % 5 {
            0 => nameless(turn),
            cpu => on(cpu % 2, 0, turn),
        }
        if step % 50 == 49 {
            bench.slab.drain();
        }
    }
}

fn every_failure_leaves_no_trace(scarce: Scarce) {
    let mut failures = 0;
    for fail in [Fail::Once, Fail::From] {
        for n in 0.. {
            let bench = Bench::new(128);
            let before = {
                let mut book = bench.lab.book();
                match scarce {
                    Scarce::Pages => book.pages_fail = fail(n),
                    Scarce::Metadata => book.metadata_fail = fail(n),
                }
                match scarce {
                    Scarce::Pages => book.page_calls,
                    Scarce::Metadata => book.metadata_calls,
                }
            };
            live(&bench, scarce);
            let calls = {
                let mut book = bench.lab.book();
                book.pages_fail = Fail::Never;
                book.metadata_fail = Fail::Never;
                if scarce == Scarce::Pages { book.page_calls } else { book.metadata_calls }
            };
            bench.check_figures();
            bench.check_all();
            bench.free_all(bench.objects());
            bench.drain_everywhere(2);
            // All is well again.
            SizeClass::all().for_each(|class| _ = bench.alloc(whole(class)).unwrap());
            bench.free_all(bench.objects());
            bench.slab.drain();
            assert_eq!(bench.lab.pages_out(), 0, "a failure of call {n} lost pages");
            bench.check_figures();
            bench.finish();
            failures += 1;
            if calls - before <= n {
                break;
            }
        }
    }
    assert!(failures > 30, "the life has but {failures} calls");
}

#[test]
fn pages_that_fail_at_any_call_leave_no_trace() {
    every_failure_leaves_no_trace(Scarce::Pages);
}

#[test]
fn metadata_that_fails_at_any_call_leaves_no_trace() {
    every_failure_leaves_no_trace(Scarce::Metadata);
}

#[test]
fn a_slab_that_cannot_be_made_gives_everything_back() {
    for n in 0.. {
        let lab = Lab::new(16);
        lab.book().metadata_fail = Fail::Once(n);
        match Slab::new(Pages::<false>(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), Mode::Fast) {
            Err(refused) => {
                assert_eq!(refused.error, SlabError::OutOfMetadata);
                assert_eq!(refused.to_string(), SlabError::OutOfMetadata.to_string());
                assert_eq!(lab.metadata_out(), 0);
                let slab = Slab::new(refused.source, refused.metadata, Mode::Fast).unwrap();
                assert!(slab.alloc(bytes(8)).is_ok());
                let leftovers = slab.destroy();
                assert_eq!((leftovers.objects, leftovers.bytes), (1, 8));
            }
            Ok(slab) => {
                assert!(n >= 4, "made without its {n}th page");
                let _ = slab.destroy();
                assert_eq!(lab.metadata_out(), 0);
                return;
            }
        }
        assert_eq!((lab.metadata_out(), lab.pages_out()), (0, 0));
    }
}

#[test]
fn an_object_is_found_wherever_it_is() {
    type Free<'a> = (&'a str, &'a dyn Fn(&Bench, super::bench::Object));
    let frees: [Free<'_>; 3] = [
        ("its slab", &|bench, object| nameless(|| bench.free(object))),
        ("the magazine", &|bench, object| bench.free(object)),
        ("a drained magazine", &|bench, object| {
            on(3, 0, || bench.free(object));
            on(3, 0, || bench.slab.drain());
        }),
    ];
    for class in SizeClass::all().step_by(5) {
        for (place, free) in &frees {
            for taker in 0..3 {
                let bench = Bench::new(48);
                let objects = bench.exhaust(whole(class));
                assert!(matches!(bench.slab.alloc(whole(class)), Err(SlabError::Pages(AllocError::NoSpace(_)))));
                let object = objects[objects.len() / 2];
                free(&bench, object);
                let found = match taker {
                    0 => bench.alloc(whole(class)),
                    // What CPU 0 has in its magazine no other can take.
                    1 if *place != "the magazine" => on(5, 1, || bench.alloc(whole(class))),
                    2 if *place != "the magazine" => nameless(|| bench.alloc_checked(whole(class))),
                    _ => continue,
                };
                assert_eq!(found.map(|found| found.at), Ok(object.at), "{class:?} in {place}");
                bench.check_figures();
                bench.finish();
            }
        }
    }
}

#[test]
fn what_the_depot_has_is_found_without_a_page() {
    for taker in 0..3 {
        let bench = Bench::new(64);
        let objects = bench.exhaust(bytes(64));
        on(1, 0, || bench.free_all(objects.into_iter().take(512)));
        let alloc = || bench.alloc(bytes(64)).is_ok();
        let found = match taker {
            0 => alloc(),
            1 => on(2, 3, alloc),
            _ => nameless(alloc),
        };
        assert!(found, "taker {taker}");
        bench.check_figures();
        bench.finish();
    }
}

#[test]
fn pages_of_another_class_that_nobody_uses_are_used() {
    // In magazines of this CPU, in the depot, in slabs: everything goes back for a class that has none.
    for (count, kept) in [(100, 0), (5000, 0), (5000, 3)] {
        let bench = Bench::new(96);
        let small = bench.alloc_many(bytes(64), count);
        bench.free_all(small.into_iter().skip(kept));
        let large = bench.exhaust(bytes(4096));
        // Those that are kept are of the first slab, which has a page.
        assert_eq!(bench.figures(class(64)).objects, if kept == 0 { 0 } else { 64 });
        assert_eq!(large.len(), if kept == 0 { 96 } else { 95 });
        assert_eq!(bench.lab.longest_gap(), 0);
        bench.check_figures();
        bench.finish();
    }
}

#[test]
fn refusals_take_no_bookkeeping() {
    let bench = Bench::new(32);
    let objects = bench.exhaust(bytes(4096));
    let mut metadata = 0;
    for turn in 0..200 {
        assert!(bench.alloc(bytes(64)).is_err());
        if turn == 0 {
            metadata = bench.lab.metadata_out();
        }
    }
    assert_eq!(bench.lab.metadata_out(), metadata);
    bench.free_all(objects);
    bench.finish();
}

#[test]
fn a_repeated_refusal_asks_the_source_once() {
    let bench = Bench::new(128);
    let objects = bench.exhaust(bytes(4096));
    for size in [8, 64, 32_768] {
        assert!(bench.alloc(bytes(size)).is_err());
        for _ in 0..3 {
            let calls = bench.lab.book().page_calls;
            assert!(bench.alloc(bytes(size)).is_err());
            assert_eq!(bench.lab.book().page_calls - calls, 1, "{size} bytes");
        }
    }
    bench.free_all(objects);
    // What there is now is had by as few slabs as before.
    bench.exhaust(bytes(64));
    assert!(bench.figures(class(64)).slabs < 40);
    bench.finish();
}

#[test]
fn a_refusal_that_needs_no_more_than_empty_slabs_leaves_magazines_as_they_are() {
    let bench = Bench::new(64);
    let objects = nameless(|| bench.alloc_many(bytes(2048), 32));
    let cached = bench.alloc_many(bytes(64), 64);
    let rest = bench.exhaust(bytes(4096));
    bench.free_all(cached);
    nameless(|| bench.free_all(objects));
    let source = bench.slab.source();
    let taken: Vec<_> = std::iter::from_fn(|| source.alloc_pages(PageCount::ONE, PageCount::ONE).ok()).collect();
    let before = bench.figures(class(64));
    assert!(before.cached > 0 && bench.figures(class(2048)).free > 0, "an empty slab is kept");
    bench.alloc(bytes(8192)).unwrap();
    assert_eq!((bench.figures(class(64)), bench.figures(class(2048)).free), (before, 0));
    bench.free_all(rest);
    // SAFETY: taken above.
    taken.into_iter().for_each(|pages| unsafe { source.free_pages(pages) });
    bench.finish();
}

#[test]
fn after_frees_memory_is_there_again() {
    let bench = Bench::new(128);
    for round in 0..3 {
        for size in [32_768, 8, 4096, 640] {
            let objects = bench.exhaust(bytes(size));
            // Slabs of large objects may leave tails while the class is new.
            assert!(objects.len() * size >= 7 * (128 << 12) / 8, "{} of {size} in round {round}", objects.len());
            assert!(bench.slab.alloc(bytes(size)).is_err());
            bench.free_all(objects);
        }
    }
    bench.finish();
}

#[test]
fn an_error_is_never_spurious() {
    // One CPU, so nothing is in anybody else's magazines: whenever a class has nothing, no slab of it has an object, and no run
    // of pages is free that one would fit.
    let bench = Bench::new(64);
    let random = Random::new(3);
    let mut errors = 0;
    for _ in 0..6000 {
        let wanted = SizeClass::all().nth(usize::try_from(random.below(44)).unwrap()).unwrap();
        let objects = bench.objects();
        if random.below(5) < 2 && !objects.is_empty() {
            bench.free(objects[usize::try_from(random.below(objects.len() as u64)).unwrap()]);
        } else if bench.alloc(whole(wanted)).is_err() {
            errors += 1;
            let figures = bench.figures(wanted);
            assert_eq!((figures.free, figures.cached), (0, 0), "{wanted:?}");
            assert!((bench.lab.longest_gap() as usize) < wanted.size().div_ceil(4096), "{wanted:?}");
        }
    }
    assert!(errors > 100, "{errors} errors");
    bench.check_figures();
    bench.finish();
}
