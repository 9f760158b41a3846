//! Size classes: what every object is, how slabs are cut, how a class grows.

use kernel_arena::slab::{LARGEST, SizeClass, SlabError};

use super::bench::{Bench, bytes, class, layout, whole};

#[test]
fn objects_of_every_class_are_disjoint_aligned_and_as_many_as_the_slabs_say() {
    for class in SizeClass::all() {
        let bench = Bench::new(32);
        let objects = bench.exhaust(layout(class.size(), class.align()));
        let figures = bench.figures(class);
        assert_eq!(figures.objects, objects.len() as u64);
        assert_eq!((figures.live, figures.cached, figures.free), (figures.objects, 0, 0));
        // What is lost is tails of slabs, and pages in runs too short for an object.
        let used = figures.objects * figures.size as u64 + figures.waste_bytes;
        assert_eq!(used, (bench.lab.pages_out() as u64) << 12);
        assert!((bench.lab.longest_gap() as usize) < class.size().div_ceil(4096));
        bench.check_figures();
        bench.check_all();
        bench.free_all(objects);
        bench.finish();
    }
}

#[test]
fn every_size_and_alignment_is_served_by_an_object_that_has_them() {
    let bench = Bench::new(512);
    for align in (0..=12).map(|shift| 1 << shift) {
        for size in [1, 2, 7, 8, 9, 24, 63, 65, 100, 511, 513, 4095, 4097, 20_000, LARGEST - 1, LARGEST] {
            let object = bench.alloc(layout(size, align)).unwrap();
            let checked = bench.alloc_checked(layout(size, align)).unwrap();
            bench.check_figures();
            bench.free_all([object, checked]);
        }
    }
    bench.finish();
}

#[test]
fn what_is_no_object_is_refused_by_name() {
    let bench = Bench::new(16);
    for (layout, error) in [
        (layout(0, 8), SlabError::ZeroSize),
        (layout(0, 8192), SlabError::ZeroSize),
        (layout(LARGEST + 1, 8), SlabError::TooLarge),
        (layout(1 << 40, 1), SlabError::TooLarge),
        (layout(isize::MAX as usize, 1), SlabError::TooLarge),
        (layout(8, 8192), SlabError::TooAligned),
        (layout(LARGEST + 1, 4096), SlabError::TooLarge),
    ] {
        assert_eq!(bench.slab.alloc(layout), Err(error), "{layout:?}");
        assert_eq!(bench.slab.alloc_checked(layout), Err(error), "{layout:?}");
        assert_eq!(bench.slab.alloc_zeroed(layout), Err(error), "{layout:?}");
    }
    assert_eq!(bench.lab.pages_out(), 0);
    bench.finish();
}

#[test]
fn the_first_slab_is_small_and_a_class_grows() {
    for (size, runs) in [(8, [1, 1, 1, 1]), (64, [1, 2, 3, 4]), (4096, [1, 2, 3, 4]), (20_480, [5, 5, 5, 5])] {
        let bench = Bench::new(256);
        while bench.lab.book().runs.len() < 4 {
            bench.alloc(bytes(size)).unwrap();
        }
        assert_eq!(bench.lab.book().runs, runs, "{size} bytes");
        bench.finish();
    }
}

#[test]
fn a_slab_has_at_most_sixteen_pages_and_512_objects() {
    for class in SizeClass::all() {
        let bench = Bench::new(1024);
        while bench.lab.book().runs.len() < 18 {
            bench.alloc(whole(class)).unwrap();
        }
        let largest = *bench.lab.book().runs.iter().max().unwrap() as usize;
        assert!(largest <= 16 && largest * 4096 / class.size() <= 512, "{largest} pages of {class:?}");
        assert!(
            largest * 4096 * 2 > 16 * 4096 || largest * 4096 / class.size() > 256,
            "full slabs of {class:?} are small"
        );
        bench.finish();
    }
}

#[test]
fn where_no_long_run_is_free_slabs_are_smaller() {
    let bench = Bench::new(64);
    let singles: Vec<_> = SizeClass::all().filter(|class| class.size() <= 4096).take(40).collect();
    // First slabs are of one page: one class after another, so that pages of different classes lie side by side.
    let held: Vec<_> = singles.iter().map(|class| bench.alloc(whole(*class)).unwrap()).collect();
    let held: Vec<_> = held
        .into_iter()
        .enumerate()
        .filter(|(nth, object)| {
            let keep = nth % 2 == 0;
            if !keep {
                bench.free(*object);
            }
            keep
        })
        .collect();
    bench.slab.drain();
    let many = bench.exhaust(bytes(64));
    assert!(bench.lab.longest_gap() == 0, "not every page is used");
    assert!(many.len() > 40 * 64 / 2);
    bench.check_figures();
    bench.free_all(many);
    bench.free_all(held.into_iter().map(|(_, object)| object));
    bench.finish();
}

#[test]
fn the_largest_class_takes_the_shortest_run_it_can_use() {
    let bench = Bench::new(20);
    assert_eq!(bench.exhaust(bytes(LARGEST)).len(), 2, "8 pages each: 16 in a row, or twice 8");
    assert_eq!(bench.exhaust(bytes(16_384)).len(), 1, "the last four");
    assert_eq!(class(LARGEST).size(), LARGEST);
    bench.finish();
}
