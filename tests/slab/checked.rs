//! Checked frees: whatever is passed, only the start of a live object that was handed out to be freed so is taken back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use kernel_arena::slab::{LARGEST, Mode, SizeClass, Slab, SlabError};
use kernel_arena::source::PageSource;
use kernel_arena::{ArenaPtr, Misuse, PageCount, PageIndex};
use proptest::prelude::*;

use super::bench::{Bench, Object, bytes, class, whole};
use super::cpus::{nameless, on};
use super::lab::{Fail, Lab, Metadata, Pages};

/// A checked free that is refused, recorded, and changes nothing.
fn refused(bench: &Bench, at: u32, misuse: Misuse) {
    let before = bench.slab.stats();
    let at = ArenaPtr::new(at);
    assert_eq!(bench.slab.free_checked(at), Err(misuse), "{at:?}");
    assert_eq!(bench.misuses(), [(at.unwrap_or(super::book::NULL), misuse)]);
    let after = bench.slab.stats();
    assert_eq!(after.misuses, before.misuses + 1);
    assert_eq!(
        (after.classes, after.live_bytes, after.held_bytes),
        (before.classes, before.live_bytes, before.held_bytes)
    );
    bench.check_all();
}

fn at(object: &Object) -> u32 {
    object.at.offset()
}

#[test]
fn what_lies_outside_the_extent_is_refused() {
    let bench = Bench::new(64);
    bench.alloc_checked(bytes(64)).unwrap();
    for outside in [0, 1, 8, 4095, 65 << 12, (65 << 12) + 64, 1 << 31, u32::MAX, u32::MAX - 7] {
        refused(&bench, outside, Misuse::Outside);
    }
    bench.finish();
}

#[test]
fn a_page_without_objects_is_refused() {
    let bench = Bench::new(64);
    refused(&bench, 4096, Misuse::NoObjects);
    let object = bench.alloc_checked(bytes(64)).unwrap();
    for page in [2, 3, 64] {
        refused(&bench, page << 12, Misuse::NoObjects);
        refused(&bench, (page << 12) + 13, Misuse::NoObjects);
    }
    bench.free(object);
    assert_eq!(bench.slab.drain(), 1);
    refused(&bench, at(&object), Misuse::NoObjects);
    bench.finish();
}

#[test]
fn a_page_that_was_a_slabs_is_refused_when_its_bookkeeping_serves_another() {
    let bench = Bench::new(64);
    let object = bench.alloc_checked(bytes(64)).unwrap();
    bench.free(object);
    assert_eq!(bench.slab.drain(), 1);
    let page = bench.slab.source().alloc_pages(PageCount::ONE, PageCount::ONE).unwrap();
    assert!(page.contains(PageIndex::containing(object.at)), "somebody else has it now");
    let next = bench.alloc_checked(bytes(64)).unwrap();
    assert_ne!(at(&next) >> 12, at(&object) >> 12);
    refused(&bench, at(&object), Misuse::NoObjects);
    // SAFETY: taken above, and nobody uses it.
    unsafe { bench.slab.source().free_pages(page) };
    bench.free(next);
    bench.finish();
}

#[test]
fn what_is_not_the_start_of_an_object_is_refused() {
    for class in SizeClass::all() {
        let bench = Bench::new(64);
        let object = bench.alloc_checked(whole(class)).unwrap();
        let size = u32::try_from(class.size()).unwrap();
        for inside in [1, 4, 7, (size / 2) | 1, size - 1] {
            refused(&bench, at(&object) + inside, Misuse::NotAtStart);
        }
        if size > 8 {
            refused(&bench, at(&object) + 8, Misuse::NotAtStart);
            refused(&bench, at(&object) + size - 8, Misuse::NotAtStart);
        }
        // Behind the last object of the page.
        let tail = 4096 / size * size;
        if tail > 0 && tail < 4096 && bench.lab.pages_out() == 1 {
            refused(&bench, 4096 + tail, Misuse::NotAtStart);
        }
        bench.free(object);
        bench.finish();
    }
}

#[test]
fn a_second_free_is_refused_wherever_the_object_went() {
    for (class, way) in SizeClass::all().step_by(5).flat_map(|class| (0..4).map(move |way| (class, way))) {
        let bench = Bench::new(64);
        // Another of the slab stays, so that its pages do.
        let stays = bench.alloc_checked(whole(class)).unwrap();
        let object = bench.alloc_checked(whole(class)).unwrap();
        match way {
            0 => bench.free(object),
            1 => on(1, 1, || bench.free(object)),
            2 => nameless(|| bench.free(object)),
            _ => {
                bench.free(object);
                bench.slab.drain();
            }
        }
        let its_page_is_here = bench.lab.book().taken.contains(&(at(&object) >> 12));
        refused(&bench, at(&object), if its_page_is_here { Misuse::NotLive } else { Misuse::NoObjects });
        assert!(its_page_is_here || class.size() > 2048);
        bench.free(stays);
        bench.finish();
    }
}

#[test]
fn after_a_refused_free_the_object_can_be_had_and_freed_again() {
    let bench = Bench::new(64);
    let object = bench.alloc_checked(bytes(80)).unwrap();
    bench.free(object);
    refused(&bench, at(&object), Misuse::NotLive);
    let again = bench.alloc_checked(bytes(80)).unwrap();
    assert_eq!(again.at, object.at);
    bench.free(again);
    refused(&bench, at(&object), Misuse::NotLive);
    bench.finish();
}

/// I7: what the kernel took for itself, a program cannot free.
#[test]
fn an_object_of_the_kernels_is_not_live_for_a_program() {
    let bench = Bench::new(64);
    for class in SizeClass::all().step_by(4) {
        let object = bench.alloc(whole(class)).unwrap();
        refused(&bench, at(&object), Misuse::NotLive);
        bench.free(object);
        // Nor when a program had it before.
        let checked = bench.alloc_checked(whole(class)).unwrap();
        bench.free(checked);
        let object = bench.alloc(whole(class)).unwrap();
        assert_eq!(object.at, checked.at);
        refused(&bench, at(&object), Misuse::NotLive);
        bench.free(object);
    }
    bench.finish();
}

#[test]
fn without_memory_for_the_note_no_object_is_handed_out() {
    let bench = Bench::new(64);
    let object = bench.alloc(bytes(64)).unwrap();
    bench.lab.book().metadata_fail = Fail::From(0);
    let figures = [1, 200].map(|times| {
        for _ in 0..times {
            assert_eq!(bench.alloc_checked(bytes(64)), Err(SlabError::OutOfMetadata));
            nameless(|| assert_eq!(bench.alloc_checked(bytes(64)), Err(SlabError::OutOfMetadata)));
        }
        bench.figures(SizeClass::of_size(64).unwrap())
    });
    assert_eq!(figures[0], figures[1], "none is lost");
    assert_eq!(figures[1].live, 1);
    bench.lab.book().metadata_fail = Fail::Never;
    let checked = bench.alloc_checked(bytes(64)).unwrap();
    bench.free_all([object, checked]);
    bench.check_figures();
    bench.finish();
}

#[test]
fn of_frees_that_race_one_is_right() {
    const THREADS: u16 = 4;
    const ROUNDS: usize = 1500;
    let lab = Lab::new(64);
    let slab = Slab::new(Pages::<false>(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), Mode::Fast).unwrap();
    let objects: Vec<ArenaPtr> = (0..ROUNDS).map(|_| slab.alloc_checked(bytes(40)).unwrap()).collect();
    let right: Vec<AtomicU32> = objects.iter().map(|_| AtomicU32::new(0)).collect();
    thread::scope(|scope| {
        for cpu in 1..=THREADS {
            let (slab, objects, right) = (&slab, &objects, &right);
            scope.spawn(move || {
                on(cpu, 0, || {
                    for (object, right) in objects.iter().zip(right) {
                        match slab.free_checked(Some(*object)) {
                            Ok(()) => _ = right.fetch_add(1, Ordering::Relaxed),
                            Err(misuse) => assert!(matches!(misuse, Misuse::NotLive | Misuse::NoObjects)),
                        }
                    }
                });
            });
        }
    });
    assert!(right.iter().all(|right| right.load(Ordering::Relaxed) == 1));
    assert_eq!(slab.stats().misuses, u64::from(THREADS - 1) * ROUNDS as u64);
    assert_eq!(slab.stats().live_bytes, 0);
    assert_eq!(slab.destroy().objects, 0);
    assert_eq!((lab.pages_out(), lab.metadata_out()), (0, 0));
}

/// Addresses as a program may make them up: anything, or something near what there is.
fn garbage() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0..70_u32 << 12,
        (0..9000_u32).prop_map(|grain| grain * 8),
        (0..70_u32).prop_map(|page| page << 12)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// I11: whatever a program passes, what is not live stays as it is, and everybody else keeps what he has.
    #[test]
    fn garbage_frees_nothing(pointers in prop::collection::vec(garbage(), 200), sizes in prop::collection::vec(1..6000_usize, 1..30)) {
        let bench = Bench::new(64);
        for (nth, size) in sizes.into_iter().enumerate() {
            // Some are the kernel's, and some are gone by now.
            let Ok(object) = (if nth % 3 == 0 { bench.alloc(bytes(size)) } else { bench.alloc_checked(bytes(size)) }) else { break };
            if nth % 3 == 1 {
                bench.free(object);
            }
        }
        for pointer in pointers {
            let live = bench.objects().into_iter().find(|object| object.checked && at(object) == pointer);
            match live {
                Some(object) => bench.free(object),
                None => {
                    let before = bench.slab.stats().classes;
                    prop_assert!(bench.slab.free_checked(ArenaPtr::new(pointer)).is_err());
                    prop_assert_eq!(bench.slab.stats().classes, before);
                }
            }
        }
        bench.check_figures();
        bench.finish();
    }
}

/// The mistake that the documentation warns of is recorded, and harms nobody but the object.
#[test]
fn a_programs_object_that_the_kernel_freed_by_mistake_is_handed_out_again() {
    let bench = Bench::new(64);
    let layout = bytes(64);
    let first = bench.slab.alloc_checked(layout).unwrap();
    // SAFETY: it came from there; that it was for a checked free is the mistake.
    unsafe { bench.slab.free(first, layout) };
    let again = bench.slab.alloc_checked(layout).unwrap();
    assert_eq!(again, first, "the object that was freed last");
    assert_eq!(bench.misuses(), [(first, Misuse::NotLive)]);
    assert_eq!(bench.slab.free_checked(Some(again)), Ok(()));
    assert_eq!(bench.slab.free_checked(Some(again)), Err(Misuse::NotLive));
    assert_eq!(bench.misuses(), [(first, Misuse::NotLive)]);
    bench.finish();
}

#[test]
fn a_zeroed_object_is_zero_to_the_end_of_its_class() {
    for mode in [Mode::Fast, Mode::Debug] {
        let bench = Bench::with(64, mode);
        for size in [1, 12, 100, 4000, 30_001] {
            let dirty = bench.alloc_checked(whole(class(size))).unwrap();
            bench.free(dirty);
            let at = bench.slab.alloc_checked_zeroed(bytes(size)).unwrap();
            assert!((0..class(size).size()).all(|byte| bench.peek(at, byte) == 0), "{size} bytes in {mode:?}");
            assert_eq!(bench.slab.free_checked(Some(at)), Ok(()));
        }
        assert_eq!(bench.misuses(), []);
        bench.finish();
    }
}

/// Whoever frees an object by its address, while it is being handed out, and gets it himself, is not written over.
#[test]
fn an_object_is_zeroed_before_anybody_can_free_it() {
    let lab = Lab::new(8);
    // There is room for one.
    let layout = bytes(LARGEST);
    let slab = Slab::new(Pages::<false>(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), Mode::Fast).unwrap();
    let at = nameless(|| slab.alloc_checked_zeroed(layout).unwrap());
    nameless(|| slab.free_checked(Some(at)).unwrap());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..600 {
                while nameless(|| slab.alloc_checked_zeroed(layout)).is_err() {
                    thread::yield_now();
                }
            }
            done.store(true, Ordering::Release);
        });
        nameless(|| {
            let (mut taken, mut damaged) = (0, 0);
            while !done.load(Ordering::Acquire) {
                if slab.free_checked(Some(at)).is_err() {
                    continue;
                }
                let Ok(object) = slab.alloc(layout) else { continue };
                let first = slab.to_kernel(object).cast::<u8>();
                // SAFETY: the object is ours.
                unsafe { first.write_bytes(0xab, LARGEST) };
                // The other may be in the middle of whatever it does to the object.
                (0..10).for_each(|_| thread::yield_now());
                // SAFETY: as above.
                let whole = unsafe { std::slice::from_raw_parts(first, LARGEST) };
                damaged += u32::from(whole.iter().any(|byte| *byte != 0xab));
                // SAFETY: taken above.
                unsafe { slab.free(object, layout) };
                taken += 1;
            }
            assert!(taken > 0, "they never met");
            assert_eq!(damaged, 0, "written to after they were handed on");
        });
    });
    lab.book().misuses.clear();
    assert_eq!((slab.destroy().bytes % LARGEST as u64, lab.pages_out()), (0, 0));
}
