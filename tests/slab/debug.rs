//! The debug mode: what trusted code does wrong is found, recorded, and does no more harm.

use std::alloc::Layout;
use std::rc::Rc;

use kernel_arena::slab::{LARGEST, Mode, SizeClass};
use kernel_arena::{ArenaPtr, Misuse};

use super::bench::{Bench, Object, bytes, layout};
use super::cpus::on;

/// How many freed objects wait.
const QUARANTINE: usize = 64;

fn bench(pages: usize) -> Rc<Bench> {
    Bench::with(pages, Mode::Debug)
}

/// Frees without looking whether it is right to.
fn free(bench: &Bench, at: ArenaPtr, layout: Layout) {
    // SAFETY: none: that is what the mode is for. The lab's memory stays where it is.
    unsafe { bench.slab.free(at, layout) };
}

/// Objects that can still be had, all of them.
fn all_offsets(bench: &Bench, size: usize) -> Vec<ArenaPtr> {
    bench.exhaust(bytes(size)).into_iter().map(|object| object.at).collect()
}

#[test]
fn what_is_used_well_is_never_blamed() {
    let bench = bench(512);
    assert_eq!(bench.slab.mode(), Mode::Debug);
    for round in 0..3 {
        for size in [1, 3, 7, 8, 9, 63, 64, 65, 100, 2047, 4095, 4096, 30_000, LARGEST - 8, LARGEST - 1, LARGEST] {
            for align in [1, 8, 16, 64, 4096] {
                let Ok(object) = bench.alloc(layout(size, align)) else { continue };
                let checked = bench.alloc_checked(layout(size, align)).unwrap();
                on(round, 0, || bench.free_all([object, checked]));
            }
        }
        bench.slab.drain();
    }
    assert_eq!(bench.misuses(), []);
    assert_eq!(bench.lab.pages_out(), 0);
    bench.finish();
}

#[test]
fn zeroed_objects_are_zero_and_used_well() {
    for mode in [Mode::Fast, Mode::Debug] {
        let bench = Bench::with(64, mode);
        for size in [1, 3, 8, 12, 13, 64, 100, 4096, 30_001] {
            let dirty = bench.alloc_many(bytes(size), 3);
            bench.free_all(dirty);
            bench.slab.drain();
            let at = bench.slab.alloc_zeroed(bytes(size)).unwrap();
            assert!((0..size).all(|byte| bench.peek(at, byte) == 0), "{size} bytes in {mode:?}");
            free(&bench, at, bytes(size));
            assert_eq!(bench.misuses(), [], "{size} bytes in {mode:?}");
        }
        bench.finish();
    }
}

/// N15.
#[test]
fn a_double_free_is_found_at_once() {
    let bench = bench(64);
    for size in [8, 64, 1000, LARGEST] {
        let object = bench.alloc(bytes(size)).unwrap();
        let other = bench.alloc(bytes(size)).unwrap();
        bench.free(object);
        for _ in 0..2 {
            free(&bench, object.at, bytes(size));
            assert_eq!(bench.misuses(), [(object.at, Misuse::NotLive)], "{size} bytes");
        }
        bench.slab.drain();
        bench.free(other);
        assert_eq!(bench.misuses(), [], "another's is no worse for it");
    }
    bench.finish();
}

/// N15.
#[test]
fn a_wild_free_is_found_by_its_kind() {
    let bench = bench(64);
    let object = bench.alloc(bytes(100)).unwrap();
    for (offset, misuse) in [
        (object.at.offset() + 8, Misuse::NotAtStart),
        (object.at.offset() + 1, Misuse::NotAtStart),
        (object.at.offset() + (1 << 12), Misuse::NoObjects),
        (8, Misuse::NoObjects),
        (u32::MAX - 7, Misuse::NoObjects),
    ] {
        free(&bench, ArenaPtr::new(offset).unwrap(), bytes(100));
        assert_eq!(bench.misuses(), [(ArenaPtr::new(offset).unwrap(), misuse)]);
    }
    bench.free(object);
    assert_eq!(bench.misuses(), []);
    bench.finish();
}

#[test]
fn a_free_with_another_size_is_found() {
    // Some of them of the same class.
    for (size, named) in [(64, 8), (64, 200), (8, 4096), (4096, 100), (40, 33), (33, 40), (30_000, 29_000)] {
        let bench = bench(64);
        let object = bench.alloc(bytes(size)).unwrap();
        free(&bench, object.at, bytes(named));
        assert_eq!(bench.misuses(), [(object.at, Misuse::WrongSize)], "{size} as {named}");
        bench.hand_in(&object);
        assert!(!all_offsets(&bench, size).contains(&object.at));
        bench.finish();
    }
}

#[test]
fn a_write_before_the_canarys_end_is_found_wherever_it_is() {
    for (size, align) in [(1, 1), (8, 8), (24, 8), (64, 64), (100, 4), (500, 8), (4096, 4096), (LARGEST - 8, 8)] {
        let layout = layout(size, align);
        // What the class has beyond what was asked for: at least a word, for exact sizes too.
        let class = SizeClass::all().find(|class| class.size() >= size + 8 && class.align() >= align.min(class.size()));
        let class = class
            .filter(|class| class.align() >= align)
            .or_else(|| SizeClass::all().find(|class| class.size() >= size + 8 && class.align() >= align));
        let end = class.unwrap().size();
        for byte in [size, size + 1, size + 7, end - 1] {
            let bench = bench(64);
            let object = bench.alloc(layout).unwrap();
            bench.poke(object.at, byte, !bench.peek(object.at, byte));
            bench.hand_in(&object);
            free(&bench, object.at, layout);
            assert_eq!(bench.misuses(), [(object.at, Misuse::Overrun)], "byte {byte} of {size}");
            bench.finish();
        }
    }
}

#[test]
fn only_the_largest_size_has_no_canary() {
    let bench = bench(64);
    let object = bench.alloc(bytes(LARGEST)).unwrap();
    let next = bench.alloc(bytes(LARGEST)).unwrap();
    bench.free_all([object, next]);
    bench.slab.drain();
    assert_eq!(bench.misuses(), []);
    bench.finish();
}

#[test]
fn freed_objects_wait_their_turn() {
    let bench = bench(64);
    let mut objects = bench.alloc_many(bytes(40), QUARANTINE + 10);
    let first = objects.remove(0);
    bench.free(first);
    for object in objects.drain(..QUARANTINE - 1) {
        bench.free(object);
        let next = bench.alloc(bytes(40)).unwrap();
        assert!(next.at.offset() > first.at.offset(), "it is still in quarantine");
    }
    bench.free(objects.pop().unwrap());
    assert_eq!(bench.alloc(bytes(40)).unwrap().at, first.at, "the first to go in is the first to come out");
    assert_eq!(bench.misuses(), []);
    bench.finish();
}

#[test]
fn when_memory_runs_out_quarantine_ends() {
    let bench = bench(16);
    let objects = bench.exhaust(bytes(4000));
    bench.free_all(objects.iter().copied());
    assert_eq!(bench.exhaust(bytes(4000)).len(), objects.len());
    assert_eq!(bench.misuses(), []);
    bench.finish();
}

#[test]
fn what_was_damaged_is_never_handed_out_again() {
    let bench = bench(16);
    let objects = bench.alloc_many(bytes(200), 12);
    let (overrun, written, fine): (Object, Object, Object) = (objects[3], objects[5], objects[7]);
    bench.poke(overrun.at, 200, 0);
    bench.free_all(objects);
    bench.poke(written.at, 199, 0);
    bench.slab.drain();
    assert_eq!(bench.misuses(), [(overrun.at, Misuse::Overrun), (written.at, Misuse::WrittenAfterFree)]);
    let again = all_offsets(&bench, 200);
    assert!(!again.contains(&overrun.at) && !again.contains(&written.at));
    assert!(again.contains(&fine.at));
    bench.lab.book().misuses.push((fine.at, Misuse::Overrun));
    let out = again.len() as u64;
    assert_eq!(bench.finish(), out + 2, "whoever looks into it finds them as they were");
}

#[test]
fn fresh_objects_hold_neither_zeros_nor_what_was_there() {
    let bench = bench(16);
    for _ in 0..2 {
        let at = bench.slab.alloc(bytes(100)).unwrap();
        let first = bench.peek(at, 0);
        assert!(first != 0 && (0..100).all(|byte| bench.peek(at, byte) == first));
        bench.poke(at, 50, 1);
        free(&bench, at, bytes(100));
        bench.slab.drain();
    }
    bench.finish();
}

/// I7: what trusted code has is no program's, whatever offset it names; and the other way round.
#[test]
fn checked_and_trusted_objects_are_freed_each_by_its_own_free() {
    let bench = bench(64);
    let kernels = bench.alloc(bytes(64)).unwrap();
    assert_eq!(bench.slab.free_checked(Some(kernels.at)), Err(Misuse::NotLive));
    let programs = bench.alloc_checked(bytes(64)).unwrap();
    free(&bench, programs.at, bytes(64));
    assert_eq!(bench.misuses(), [(kernels.at, Misuse::NotLive), (programs.at, Misuse::NotLive)]);
    bench.free_all([kernels, programs]);
    assert_eq!(bench.misuses(), []);
    bench.finish();
}
