//! Magazines and depots: who gets which objects, and what is kept where.

use std::collections::BTreeSet;

use kernel_arena::slab::{CPUS, LEVELS, SizeClass};

use super::bench::{Bench, Object, bytes, class, whole};
use super::cpus::{idle, named_on_demand, nameless, on};
use super::lab::Fail;

/// Of 64 bytes, a magazine holds 128 objects and a depot 8 magazines.
const SIZE: usize = 64;
const MAGAZINE: u64 = 128;
const DEPOT: u64 = 8;

fn offsets(objects: &[Object]) -> BTreeSet<u32> {
    objects.iter().map(|object| object.at.offset()).collect()
}

#[test]
fn what_was_freed_last_is_handed_out_first() {
    let bench = Bench::new(64);
    let objects = bench.alloc_many(bytes(SIZE), 10);
    bench.free_all(objects.clone());
    let again = bench.alloc_many(bytes(SIZE), 10);
    assert!(again.iter().rev().map(|object| object.at).eq(objects.iter().map(|object| object.at)));
    bench.finish();
}

#[test]
fn a_refill_hands_out_the_lowest_first() {
    let bench = Bench::new(64);
    let objects = bench.alloc_many(bytes(SIZE), 64);
    assert!(objects.iter().map(|object| object.at.offset()).eq((0..64).map(|nth| 4096 + nth * 64)));
    bench.finish();
}

#[test]
fn what_another_cpu_frees_comes_back_through_the_depot() {
    let bench = Bench::new(256);
    let objects = bench.alloc_many(bytes(SIZE), 768);
    on(1, 0, || bench.free_all(objects.clone()));
    let before = bench.figures(class(SIZE));
    let calls = bench.lab.book().page_calls;
    // CPU 1 keeps two magazines; four went to the depot.
    let again = bench.alloc_many(bytes(SIZE), 512);
    assert!(offsets(&again).is_subset(&offsets(&objects)), "CPU 0 gets what CPU 1 freed");
    let after = bench.figures(class(SIZE));
    assert_eq!((after.free, after.objects), (before.free, before.objects), "no slab was asked");
    assert_eq!(bench.lab.book().page_calls, calls);
    bench.check_figures();
    bench.finish();
}

#[test]
fn what_overflows_the_depot_goes_back_to_the_slabs() {
    let bench = Bench::new(256);
    let objects = bench.alloc_many(bytes(SIZE), 4096);
    on(1, 0, || bench.free_all(objects));
    let figures = bench.figures(class(SIZE));
    assert_eq!(figures.live, 0);
    // CPU 0 has what its last refill left over.
    let kept = (DEPOT + 2) * MAGAZINE;
    assert!((kept - MAGAZINE..=kept + 64).contains(&figures.cached), "{figures:?}");
    assert_eq!(figures.free, figures.objects - figures.cached);
    bench.check_figures();
    on(1, 0, || bench.slab.drain());
    assert!(bench.figures(class(SIZE)).cached <= 64, "the depot is empty, and so are the magazines of CPU 1");
    bench.slab.drain();
    assert_eq!(bench.figures(class(SIZE)).objects, 0);
    bench.finish();
}

#[test]
fn a_depot_keeps_at_most_a_mebibyte_of_a_class() {
    for class in SizeClass::all().filter(|class| class.size() >= 1024) {
        let bench = Bench::new(1024);
        let objects = bench.exhaust(whole(class));
        on(1, 0, || bench.free_all(objects));
        let cached = bench.figures(class).cached * class.size() as u64;
        assert!(cached >= 1 << 19, "{cached} bytes of {class:?}");
        // With two magazines of CPU 1 and two of CPU 0, 32 KiB each.
        assert!(cached <= (1 << 20) + (4 << 15), "{cached} bytes of {class:?}");
        bench.check_figures();
        bench.finish();
    }
}

#[test]
fn depots_share_a_512th_of_the_extent_beyond_what_each_has() {
    // 512 KiB, or 64 magazines of up to 8 KiB of objects.
    const SURPLUS: u64 = 64;
    let bench = Bench::new(1 << 16);
    // Whatever goes back comes off: each time there is as much.
    for size in [SIZE, 8, 16, SIZE] {
        let kept_of = |size: usize, count: usize| {
            let objects = bench.alloc_many(bytes(size), count);
            on(1, 0, || bench.free_all(objects));
            bench.check_figures();
            bench.figures(class(size)).cached
        };
        let most = (DEPOT + SURPLUS + 2) * MAGAZINE;
        let kept = kept_of(size, 80 * 128);
        assert!((most - MAGAZINE..=most + 64).contains(&kept), "{kept} of {size} bytes");
        let others = kept_of(48, 16 * 128);
        assert!(others <= (DEPOT + 2) * MAGAZINE + 64, "{others} of another class, which finds nothing left");
        if size == 8 {
            // By allocations, not by a drain.
            let objects = bench.alloc_many(bytes(size), 80 * 128);
            assert!(bench.figures(class(size)).cached <= 3 * MAGAZINE, "CPU 1 keeps two");
            let kept = kept_of(SIZE, 80 * 128);
            assert!((most - MAGAZINE..=most + 64).contains(&kept), "{kept} after the others were handed out");
            bench.free_all(objects);
        }
        on(1, 0, || bench.slab.drain());
        bench.slab.drain();
        assert_eq!(bench.slab.stats().held_bytes, 0);
    }
    bench.finish();
}

#[test]
fn taking_turns_at_the_edge_of_a_magazine_asks_no_slab() {
    for count in [63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256, 257] {
        let bench = Bench::new(64);
        let mut objects = bench.alloc_many(bytes(SIZE), 600);
        bench.free_all(objects.drain(..count));
        let before = bench.figures(class(SIZE)).free;
        let calls = bench.lab.book().page_calls;
        for turns in [1, 2, 3] {
            for _ in 0..50 {
                let few = bench.alloc_many(bytes(SIZE), turns);
                bench.free_all(few);
            }
        }
        assert_eq!(bench.figures(class(SIZE)).free, before, "after {count} frees");
        assert_eq!(bench.lab.book().page_calls, calls);
        bench.finish();
    }
}

#[test]
fn each_level_has_magazines_of_its_own() {
    let bench = Bench::new(64);
    let freed: Vec<Object> = (0..LEVELS)
        .map(|level| {
            on(0, level, || {
                let object = bench.alloc(bytes(SIZE)).unwrap();
                bench.free(object);
                object
            })
        })
        .collect();
    assert_eq!(offsets(&freed).len(), usize::from(LEVELS), "no level gets what another has in its magazine");
    for (level, freed) in (0..LEVELS).zip(&freed).rev() {
        let again = on(0, level, || bench.alloc(bytes(SIZE)).unwrap());
        assert_eq!(again.at, freed.at, "level {level} gets its own");
    }
    bench.finish();
}

#[test]
fn a_cpu_that_has_no_magazines_works_on_the_slabs() {
    type Run<'a> = &'a dyn Fn(&mut dyn FnMut());
    let ways: [(&str, Run<'_>); 3] = [
        ("no name", &|run| nameless(run)),
        ("a level too high", &|run| on(0, LEVELS, run)),
        ("a number too high", &|run| on(u16::try_from(CPUS).unwrap(), 0, run)),
    ];
    for (what, way) in ways {
        let bench = Bench::new(64);
        let metadata = bench.slab.stats().metadata_bytes;
        way(&mut || {
            let objects = bench.alloc_many(bytes(SIZE), 300);
            assert_eq!(bench.figures(class(SIZE)).cached, 0, "{what}");
            assert!(objects.iter().map(|object| object.at.offset()).is_sorted(), "the lowest first");
            bench.free_all(objects);
            let figures = bench.figures(class(SIZE));
            assert_eq!((figures.cached, figures.free), (0, figures.objects), "{what}");
            let checked = bench.alloc_checked(bytes(100)).unwrap();
            bench.free(checked);
        });
        assert_eq!(bench.figures(class(100)).cached, 0, "{what}");
        bench.check_figures();
        // A header page with its node, the page map and the live map with theirs: nothing for magazines.
        assert!(bench.slab.stats().metadata_bytes - metadata <= 6 << 12, "{what}");
        bench.finish();
    }
}

#[test]
fn without_memory_for_magazines_the_slabs_serve() {
    let bench = Bench::new(64);
    let first = bench.alloc(bytes(SIZE)).unwrap();
    bench.lab.book().metadata_fail = Fail::From(0);
    // The pages that there are have room for a few more.
    let cached = (1..16).map(|cpu| {
        on(cpu, 0, || {
            let objects = bench.alloc_many(bytes(SIZE), 10);
            bench.free_all(objects);
            bench.figures(class(SIZE)).cached
        })
    });
    let cached: Vec<u64> = cached.collect();
    assert!(cached[0] > 63 && cached[8..].iter().all(|now| *now == cached[7]), "{cached:?}");
    bench.lab.book().metadata_fail = Fail::Never;
    let object = on(15, 0, || bench.alloc(bytes(SIZE)).unwrap());
    assert!(bench.figures(class(SIZE)).cached > cached[15 - 1], "now CPU 15 has some");
    bench.free_all([first, object]);
    bench.check_figures();
    bench.finish();
}

#[test]
fn magazines_go_round_and_none_is_lost() {
    let bench = Bench::new(256);
    let mut metadata = 0;
    for round in 0..20 {
        // Some by the depot, some beyond it.
        let objects = bench.alloc_many(bytes(SIZE), 3000);
        on(1, 0, || bench.free_all(objects));
        if round == 1 {
            metadata = bench.lab.metadata_out();
        }
    }
    assert_eq!(bench.lab.metadata_out(), metadata, "the same magazines, round after round");
    bench.finish();
}

#[test]
fn a_magazine_without_a_second_one_is_kept_for_later() {
    let one_of_each = |scarce: bool| {
        let bench = Bench::new(512);
        for class in SizeClass::all() {
            if scarce {
                bench.lab.book().metadata_fail = Fail::From(0);
                bench.alloc(whole(class)).into_iter().for_each(|object| bench.free(object));
                bench.lab.book().metadata_fail = Fail::Never;
            }
            bench.alloc(whole(class)).unwrap();
        }
        let metadata = bench.lab.metadata_out();
        bench.finish();
        metadata
    };
    assert_eq!(one_of_each(true), one_of_each(false));
}

#[test]
fn magazines_of_every_cpu_are_flushed_when_the_slab_is_destroyed() {
    let bench = Bench::new(256);
    for cpu in [0, 1, 7, 2047] {
        for level in 0..LEVELS {
            let objects = on(cpu, level, || bench.alloc_many(bytes(48), 100));
            on(cpu, level, || bench.free_all(objects));
        }
    }
    let kept = on(7, 2, || bench.alloc_many(bytes(48), 3));
    bench.check_figures();
    assert_eq!(bench.finish(), kept.len() as u64);
}

#[test]
fn what_cpus_left_behind_comes_back_with_a_drain_on_another() {
    let bench = Bench::new(512);
    let sizes = [48, SIZE, 4096];
    for (cpu, level) in [(1, 0), (1, 2), (7, 0), (600, 1)] {
        on(cpu, level, || {
            for size in sizes {
                let objects = bench.alloc_many(bytes(size), 100);
                bench.free_all(objects);
            }
        });
    }
    let kept = on(7, 0, || bench.alloc(bytes(SIZE)).unwrap());
    idle([1, 600]);
    bench.slab.drain();
    let cached = |size| bench.figures(class(size)).cached;
    assert!(sizes.into_iter().all(|size| cached(size) > 0), "CPU 7 is not down, and keeps its own");
    idle([1, 7, 600]);
    bench.slab.drain();
    assert!(sizes.into_iter().all(|size| cached(size) == 0));
    let slabs = |size| bench.figures(class(size)).slabs;
    assert_eq!(sizes.map(slabs), [0, 1, 0], "but for the slab of the one object that is out");
    // Their magazines serve those who come later.
    let metadata = bench.lab.metadata_out();
    for cpu in [2, 3, 1] {
        on(cpu, 0, || sizes.map(|size| bench.alloc(bytes(size)).unwrap()));
    }
    assert!(bench.lab.metadata_out() <= metadata + 1, "but for a page of racks");
    bench.check_figures();
    idle([]);
    let _ = kept;
    bench.finish();
}

#[test]
fn an_allocation_finds_what_cpus_left_behind_before_it_fails() {
    for (size, wanted) in [(4096, 4096), (4096, 64), (64, 4096)] {
        let fresh = Bench::new(64);
        let all = fresh.exhaust(bytes(wanted)).len();
        fresh.finish();
        let bench = Bench::new(64);
        let objects = on(1, 0, || bench.exhaust(bytes(size)));
        on(1, 0, || bench.free_all(objects));
        idle([1]);
        assert_eq!(bench.exhaust(bytes(wanted)).len(), all, "{size}, then {wanted}");
        bench.check_figures();
        idle([]);
        bench.finish();
    }
}

#[test]
fn whoever_gets_a_name_within_an_operation_finds_the_magazines_as_they_were_left() {
    // The last with the name left loaded and previous magazine in every state, and full ones in the depot.
    for left in [0, 1, 64, 127, 128, 129, 200, 256, 257] {
        for free_first in [false, true] {
            let bench = Bench::new(256);
            let mut objects = on(1, 0, || bench.alloc_many(bytes(SIZE), 1024));
            on(1, 0, || bench.free_all(objects.drain(..512)));
            on(1, 0, || bench.alloc_many(bytes(SIZE), left));
            named_on_demand(1, || match free_first {
                true => bench.free(objects.pop().unwrap()),
                false => _ = bench.alloc(bytes(SIZE)).unwrap(),
            });
            bench.check_figures();
            on(1, 0, || bench.free_all(bench.objects()));
            on(1, 0, || bench.slab.drain());
            assert_eq!(bench.lab.pages_out(), 0, "{left} objects were taken again");
            bench.check_figures();
            bench.finish();
        }
    }
}
