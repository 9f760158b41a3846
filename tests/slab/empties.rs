//! Slabs that are empty: their pages go back, but not at once, and not back and forth.

use kernel_arena::slab::SizeClass;

use super::bench::{Bench, bytes, class, whole};
use super::cpus::{nameless, on};

/// What a class keeps in a small extent.
const RESERVE: u64 = 64 << 10;

#[test]
fn taking_turns_at_the_edge_of_a_slab_calls_the_source_no_more() {
    for size in [8, 64, 256, 4096, 32_768] {
        for count in [1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 511, 512, 513] {
            let bench = Bench::new(512);
            let turns = || {
                for turns in [1, 2, 2, 1].into_iter().cycle().take(16) {
                    let objects = bench.alloc_many(bytes(size), turns);
                    bench.free_all(objects);
                }
                let book = bench.lab.book();
                (book.page_calls, book.free_calls)
            };
            nameless(|| {
                bench.alloc_many(bytes(size), count.min(40 * 32_768 / size));
                // Once what may be made is made and what may go is gone, nothing moves.
                assert_eq!(turns(), turns(), "{size} bytes, {count} objects");
            });
            bench.finish();
        }
    }
}

#[test]
fn after_a_peak_all_but_the_reserve_goes_back() {
    for size in [256, 1024, 4096, 20_480] {
        let bench = Bench::new(4096);
        let objects = nameless(|| bench.alloc_many(bytes(size), (8 << 20) / size));
        let peak = bench.slab.stats().held_bytes;
        assert!(peak > 7 << 20);
        nameless(|| bench.free_all(objects));
        let held = bench.slab.stats().held_bytes;
        assert!(held < peak / 8, "{held} of {peak} bytes are kept of {size}");
        // A slab stays, too, that has more than all others of its class.
        assert!(held <= RESERVE + (1 << 16) && held + (1 << 16) > RESERVE, "{held} bytes are kept of {size}");
        assert_eq!(bench.lab.pages_out() as u64, held >> 12);
        let slabs = bench.figures(class(size)).slabs;
        assert_eq!(bench.slab.drain(), slabs);
        assert_eq!((bench.slab.stats().held_bytes, bench.lab.pages_out()), (0, 0), "none is kept");
        assert_eq!(bench.slab.stats().peak_held_bytes, peak);
        bench.finish();
    }
}

#[test]
fn the_reserve_is_larger_where_there_is_more() {
    // 128 MiB: a 512th of it.
    let bench = Bench::new(32 << 10);
    let objects = nameless(|| bench.alloc_many(bytes(4096), 1000));
    nameless(|| bench.free_all(objects));
    let held = bench.slab.stats().held_bytes;
    assert!((192 << 10..=256 << 10).contains(&held), "{held}");
    bench.finish();
}

#[test]
fn one_reserve_serves_all_classes() {
    // 128 MiB, of which 256 KiB are the reserve.
    let bench = Bench::new(32 << 10);
    for class in SizeClass::all() {
        let objects = nameless(|| bench.alloc_many(whole(class), (1 << 20) / class.size()));
        nameless(|| bench.free_all(objects));
    }
    let stats = bench.slab.stats();
    assert_eq!(stats.live_bytes, 0);
    // Beyond the reserve a class keeps a slab that has more than all its others: less than two slabs.
    let last = (stats.classes.len() as u64) << 17;
    assert!(stats.held_bytes <= (256 << 10) + last, "{} bytes are kept", stats.held_bytes);
    bench.finish();
}

#[test]
fn a_slab_with_an_object_stays_and_the_others_go() {
    let bench = Bench::new(512);
    let objects = nameless(|| bench.alloc_many(bytes(512), 2048));
    let (kept, freed): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| object.at.offset() % (1 << 18) == 0);
    assert!(!kept.is_empty());
    nameless(|| bench.free_all(freed));
    bench.slab.drain();
    let figures = bench.figures(class(512));
    assert_eq!(figures.live, kept.len() as u64);
    assert_eq!(figures.slabs as usize, kept.len(), "one slab for each");
    bench.check_figures();
    bench.check_all();
    nameless(|| bench.free_all(kept));
    bench.slab.drain();
    assert_eq!(bench.lab.pages_out(), 0);
    bench.finish();
}

#[test]
fn after_a_drain_slabs_that_have_objects_serve_before_new_ones_are_made() {
    let bench = Bench::new(64);
    nameless(|| {
        let objects = bench.alloc_many(bytes(64), 600);
        // Every other object of several slabs.
        bench.free_all(objects.into_iter().step_by(2));
        for _ in 0..2 {
            assert_eq!(bench.slab.drain(), 0);
            let calls = bench.lab.book().page_calls;
            let again = bench.alloc_many(bytes(64), 300);
            assert_eq!(bench.lab.book().page_calls, calls, "there are objects in slabs");
            bench.free_all(again);
        }
    });
    bench.finish();
}

#[test]
fn a_drain_empties_depots_and_the_magazines_of_its_own_level_and_cpu() {
    let bench = Bench::new(512);
    let places = [(0, 0), (0, 1), (1, 0)];
    for (cpu, level) in places {
        on(cpu, level, || {
            let objects = bench.alloc_many(bytes(2048), 40);
            bench.free_all(objects);
        });
    }
    // Two magazines of 16 each.
    let mut cached = bench.figures(class(2048)).cached;
    for (cpu, level) in places {
        on(cpu, level, || bench.slab.drain());
        let now = bench.figures(class(2048)).cached;
        assert!(now < cached, "CPU {cpu}, level {level}: {now} of {cached} objects are left in magazines");
        assert_eq!((cpu, level) == (1, 0), now == 0);
        cached = now;
        bench.check_figures();
    }
    assert_eq!(bench.lab.pages_out(), 0);
    bench.finish();
}

#[test]
fn a_reclaim_is_a_drain_and_the_sources_own() {
    let bench = Bench::new(64);
    let objects = bench.alloc_many(bytes(512), 64);
    bench.free_all(objects);
    let slabs = bench.figures(class(512)).slabs;
    assert_eq!(bench.lab.book().reclaims, 0);
    assert_eq!(bench.slab.drain(), slabs);
    assert_eq!(bench.lab.book().reclaims, 0);
    assert_eq!(bench.slab.drain(), 0, "there is nothing left");
    let object = bench.alloc(bytes(512)).unwrap();
    bench.free(object);
    assert_eq!(bench.slab.reclaim(), 1);
    assert_eq!(bench.lab.book().reclaims, 1);
    assert_eq!(bench.lab.pages_out(), 0);
    bench.finish();
}

#[test]
fn bookkeeping_is_used_again_for_the_next_slabs() {
    let bench = Bench::new(512);
    let mut metadata = 0;
    for round in 0..20 {
        for size in [48, 4096, 24_576] {
            let objects = bench.alloc_many(bytes(size), 16);
            bench.free_all(objects);
            bench.slab.drain();
            assert_eq!(bench.lab.pages_out(), 0);
        }
        if round == 0 {
            metadata = bench.lab.metadata_out();
        }
    }
    assert_eq!(bench.lab.metadata_out(), metadata, "sixty slabs later");
    bench.finish();
}

#[test]
fn a_drain_counts_the_slabs_that_go_on_the_way_too() {
    let bench = Bench::new(1024);
    let objects = bench.alloc_many(bytes(512), 4000);
    let slabs: u32 = bench.slab.stats().classes.iter().map(|class| class.slabs).sum();
    bench.free_all(objects);
    let left: u32 = bench.slab.stats().classes.iter().map(|class| class.slabs).sum();
    assert!(left > 1 && left <= slabs);
    assert_eq!(bench.slab.drain(), left);
    assert_eq!(bench.slab.stats().held_bytes, 0);
    bench.finish();
}

/// A double free by trusted code, in fast mode: found when it comes back to its slab, and counted once.
#[test]
fn an_object_that_was_freed_twice_is_counted_once() {
    let bench = Bench::new(64);
    let layout = bytes(64);
    let at = bench.slab.alloc(layout).unwrap();
    for _ in 0..2 {
        // SAFETY: none the second time: that is the mistake. Nobody uses the object.
        unsafe { bench.slab.free(at, layout) };
    }
    bench.slab.drain();
    assert_eq!(bench.misuses(), [(at, kernel_arena::Misuse::NotLive)]);
    assert!(bench.slab.stats().peak_bytes < 1 << 20);
    let objects = bench.alloc_many(layout, 500);
    bench.free_all(objects);
    bench.slab.drain();
    assert_eq!(bench.slab.stats().held_bytes, 0);
    bench.finish();
}
