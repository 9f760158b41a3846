//! What upstream's selftests claim of its sub-allocators, said of this one.
//!
//! Upstream's buddy allocator hands out sizes up to a page and more from one arena; what there is an object here is one
//! of a slab, and what is larger than the largest class is the heap's.

use std::sync::Arc;

use kernel_arena::slab::{Mode, SizeClass, Slab};
use kernel_arena::{AllocError, Misuse};

use super::bench::{Bench, bytes, layout};
use super::lab::{Lab, Metadata, Pages};

/// T104, T160.
#[test]
fn an_allocator_is_made_and_taken_down_ten_times_on_the_same_sources() {
    let lab = Lab::new(64);
    for _ in 0..10 {
        let slab = Slab::new(Pages::<false>(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), Mode::Fast).unwrap();
        slab.alloc(bytes(100)).unwrap();
        assert_eq!(slab.destroy().objects, 1);
        assert_eq!((lab.pages_out(), lab.metadata_out()), (0, 0));
    }
}

/// T105.
#[test]
fn one_object_of_each_size_from_a_fresh_allocator() {
    for size in [3, 17, 1025, 129, 16_350, 333, 9, 517] {
        let bench = Bench::new(64);
        let object = bench.alloc(layout(size, 1)).unwrap();
        bench.check_figures();
        bench.free(object);
        bench.finish();
    }
}

/// T106.
#[test]
fn eight_hundred_turns_of_mixed_sizes_keep_no_more_than_the_first() {
    let bench = Bench::new(64);
    let sizes = [3, 17, 1025, 129, 16_350, 333, 9, 517];
    for (turn, size) in sizes.into_iter().cycle().take(800).enumerate() {
        let object = bench.alloc(bytes(size)).unwrap();
        bench.free(object);
        if turn == sizes.len() {
            bench.lab.book().page_calls = 0;
        }
    }
    assert_eq!(bench.lab.book().page_calls, 0, "what was freed is used again");
    bench.finish();
}

/// T107.
#[test]
fn five_hundred_blocks_keep_their_contents_and_are_freed_in_any_order() {
    for stop in [512, 200] {
        let bench = Bench::new(256);
        let objects: Vec<_> = (0..512).map(|nth| bench.alloc(bytes(8 + nth % 7 * 100)).unwrap()).collect();
        bench.check_all();
        (0..stop).for_each(|nth| bench.free(objects[nth * 17 % 512]));
        bench.check_all();
        assert_eq!(bench.finish(), 512 - stop as u64, "with blocks still out, too");
    }
}

/// T108.
#[test]
fn every_block_is_aligned_to_eight_bytes() {
    let bench = Bench::new(256);
    for size in [1, 3, 7, 8, 9, 15, 17, 31, 33, 63, 65, 127, 129, 333, 517, 1025, 16_350] {
        let object = bench.alloc(layout(size, 1)).unwrap();
        assert_eq!(object.at.offset() % 8, 0, "{size} bytes");
    }
    bench.finish();
}

/// T109: upstream finds the access; here the free finds the byte.
#[test]
fn a_byte_beyond_the_end_is_found_for_nine_sizes() {
    for size in [1, 8, 17, 64, 129, 333, 517, 1025, 16_350] {
        let bench = Bench::with(64, Mode::Debug);
        let (object, beside) = (bench.alloc(bytes(size)).unwrap(), bench.alloc(bytes(size)).unwrap());
        bench.poke(object.at, size, 1);
        bench.free(object);
        assert_eq!(bench.misuses(), [(object.at, Misuse::Overrun)], "{size} bytes");
        bench.free(beside);
        assert_eq!(bench.misuses(), [], "{size} bytes");
        bench.finish();
    }
}

/// T110: upstream's free block has a header of which it does not find the bytes; here there is nothing in it.
#[test]
fn a_write_to_any_byte_after_the_free_is_found() {
    for size in (4..=14).map(|shift| 1 << shift) {
        let step = if size > 256 { size / 32 - 1 } else { 1 };
        let bench = Bench::with(1024, Mode::Debug);
        for byte in (0..size).step_by(step).chain([size - 1]) {
            let object = bench.alloc(bytes(size)).unwrap();
            bench.free(object);
            assert_eq!(bench.misuses(), []);
            bench.poke(object.at, byte, 0x41);
            bench.slab.drain();
            assert_eq!(bench.misuses(), [(object.at, Misuse::WrittenAfterFree)], "byte {byte} of {size}");
        }
        bench.lab.book().misuses.push((kernel_arena::ArenaPtr::new(8).unwrap(), Misuse::Outside));
        bench.finish();
    }
}

/// T111.
#[test]
fn a_field_just_past_a_struct_is_found() {
    #[repr(C)]
    struct Blob {
        words: [u64; 6],
        past: u32,
    }
    let blob = std::mem::offset_of!(Blob, past);
    assert_eq!(blob, 48);
    let bench = Bench::with(64, Mode::Debug);
    let object = bench.alloc(bytes(blob)).unwrap();
    (blob..blob + 4).for_each(|byte| bench.poke(object.at, byte, 0));
    bench.free(object);
    assert_eq!(bench.misuses(), [(object.at, Misuse::Overrun)]);
    bench.lab.book().misuses.push((object.at, Misuse::Overrun));
    bench.finish();
}

/// T147, T148: upstream's comes zeroed; here whoever wants that says so.
#[test]
fn single_and_many_zeroed_objects() {
    let bench = Bench::new(256);
    for size in [1, 8, 100, 4096, 32_768] {
        for _ in 0..20 {
            let at = bench.slab.alloc_zeroed(bytes(size)).unwrap();
            assert!((0..size).all(|byte| bench.peek(at, byte) == 0));
            bench.hand_out(at, bytes(size), false);
        }
        bench.free_all(bench.objects());
    }
    bench.finish();
}

/// T149.
#[test]
fn alignments_up_to_a_page_in_both_orders() {
    let bench = Bench::new(256);
    let shifts = 0..=12;
    for shift in shifts.clone().chain(shifts.rev()) {
        bench.alloc(layout(1, 1 << shift)).unwrap();
        bench.alloc(layout(40, 1 << shift)).unwrap();
    }
    bench.check_figures();
    bench.finish();
}

/// T150: what is lost to padding, too, says the class.
#[test]
fn memory_is_exhausted_exactly() {
    let bench = Bench::new(32);
    for (size, align, count) in [(4096, 1, 32), (64, 1, 2048), (40, 64, 2048), (1, 4096, 32), (3000, 1024, 40)] {
        let objects = bench.exhaust(layout(size, align));
        let class = SizeClass::of(layout(size, align)).unwrap();
        assert_eq!(objects.len(), count, "{size} aligned to {align}: {class:?}");
        assert!(matches!(
            bench.slab.alloc(layout(size, align)),
            Err(kernel_arena::slab::SlabError::Pages(AllocError::NoSpace(_)))
        ));
        bench.free_all(objects);
    }
    bench.finish();
}
