//! Figures, where they can be told in advance; that they add up is asked for in most other tests.

use super::bench::{Bench, bytes, class, layout};
use super::cpus::nameless;

#[test]
fn live_bytes_peak_and_pages_are_exact() {
    let bench = Bench::new(64);
    let empty = bench.slab.stats();
    assert_eq!((empty.live_bytes, empty.peak_bytes, empty.held_bytes, empty.peak_held_bytes), (0, 0, 0, 0));
    assert_eq!(empty.metadata_bytes, (bench.lab.metadata_out() as u64) << 12);
    nameless(|| {
        // 100 bytes are 112, 36 a page.
        let objects = bench.alloc_many(bytes(100), 36);
        let full = bench.slab.stats();
        assert_eq!((full.live_bytes, full.peak_bytes, full.held_bytes), (36 * 112, 36 * 112, 4096));
        let of = full.classes[class(100).index()];
        assert_eq!((of.size, of.slabs, of.objects, of.live, of.free, of.cached), (112, 1, 36, 36, 0, 0));
        assert_eq!(of.waste_bytes, 4096 - 36 * 112);
        bench.free_all(objects.into_iter().take(30));
        let less = bench.slab.stats();
        assert_eq!((less.live_bytes, less.peak_bytes), (6 * 112, 36 * 112));
        assert_eq!(less.classes[class(100).index()].free, 30);
        let few = bench.alloc_many(bytes(112), 10);
        assert_eq!(bench.slab.stats().peak_bytes, 36 * 112, "below the peak");
        bench.free_all(few);
        bench.free_all(bench.objects());
        assert_eq!(bench.slab.drain(), 1);
    });
    let after = bench.slab.stats();
    assert_eq!((after.live_bytes, after.held_bytes, after.peak_held_bytes), (0, 0, 4096));
    let of = after.classes[class(100).index()];
    assert_eq!((of.slabs, of.objects, of.live, of.cached, of.free, of.waste_bytes), (0, 0, 0, 0, 0, 0));
    assert_eq!((of.peak, after.peak_bytes), (36, 36 * 112));
    bench.finish();
}

#[test]
fn what_magazines_hold_is_cached_and_neither_live_nor_free() {
    let bench = Bench::new(64);
    // A first refill takes a word of 64 objects, as many as a page of them has.
    let object = bench.alloc(bytes(64)).unwrap();
    let of = bench.figures(class(64));
    assert_eq!((of.objects, of.live, of.cached, of.free), (64, 1, 63, 0));
    bench.free(object);
    let of = bench.figures(class(64));
    assert_eq!((of.objects, of.live, of.cached, of.free), (64, 0, 64, 0));
    let stats = bench.slab.stats();
    assert_eq!((stats.live_bytes, stats.peak_bytes), (0, 4096), "what is in magazines is out of the slabs");
    bench.finish();
}

#[test]
fn objects_count_with_the_size_of_their_class() {
    let bench = Bench::new(64);
    for (size, align, counted) in [(1, 1, 8), (9, 1, 16), (65, 1, 80), (65, 64, 128), (100, 128, 128), (4097, 8, 5120)]
    {
        let before = bench.slab.stats().live_bytes;
        let object = bench.alloc(layout(size, align)).unwrap();
        assert_eq!(bench.slab.stats().live_bytes - before, counted, "{size} aligned to {align}");
        bench.free(object);
    }
    bench.finish();
}

#[test]
fn metadata_is_about_a_hundredth_of_what_is_handed_out() {
    let bench = Bench::new(8192);
    let before = bench.slab.stats();
    assert!(before.metadata_bytes <= 9 << 12, "{} bytes to begin with", before.metadata_bytes);
    nameless(|| drop(bench.alloc_many(bytes(256), 100_000)));
    let stats = bench.slab.stats();
    assert!((stats.metadata_bytes - before.metadata_bytes) * 100 <= 2 * stats.held_bytes, "{stats:?}");
    bench.check_figures();
    bench.finish();
}
