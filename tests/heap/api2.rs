//! The heap as an `Allocator`, and collections on it.

use std::alloc::Layout;
use std::collections::hash_map::RandomState;
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use hashbrown::HashMap;
use kernel_arena::slab::Mode;

use super::blocks::Bench;
use crate::machine::Random;
use crate::slab::lab::{Fail, Lab};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn bytes<'a>(block: NonNull<[u8]>) -> &'a mut [u8] {
    // SAFETY: the tests ask for the memory of blocks that they have, one slice at a time.
    unsafe { &mut *block.as_ptr() }
}

fn benches() -> [Bench; 2] {
    [Mode::Fast, Mode::Debug].map(|mode| Bench::on(&Lab::new(512), mode))
}

#[test]
fn blocks_of_no_bytes_are_aligned_and_take_nothing() {
    for bench in benches() {
        for align in [1, 8, 4096, 1 << 20] {
            let empty = layout(0, align);
            for block in [bench.heap.allocate(empty).unwrap(), bench.heap.allocate_zeroed(empty).unwrap()] {
                assert_eq!(block.len(), 0);
                assert_eq!(block.cast::<u8>().addr().get() % align, 0);
                // SAFETY: allocated above with this layout.
                unsafe { bench.heap.deallocate(block.cast(), empty) };
            }
        }
        assert_eq!(bench.lab.pages_out(), 0);
        // Also without any memory.
        bench.lab.book().pages_fail = Fail::From(0);
        assert!(bench.heap.allocate(layout(0, 8)).is_ok());
        assert!(bench.heap.allocate(layout(1, 8)).is_err());
        bench.end();
    }
}

#[test]
fn blocks_grow_from_nothing_and_shrink_to_nothing() {
    for bench in benches() {
        let mut block = bench.heap.allocate(layout(0, 8)).unwrap();
        let sizes = [0, 10, 0, 64, 65, 100, 100, 40_000, 50_000, 300_000];
        for pair in sizes.windows(2) {
            let (old, new) = (layout(pair[0], 8), layout(pair[1], 8));
            let kept = old.size().min(new.size());
            bytes(block).fill(7);
            let changed = if new.size() >= old.size() {
                // SAFETY: the block is ours, with this layout.
                unsafe { bench.heap.grow_zeroed(block.cast(), old, new) }
            } else {
                // SAFETY: the block is ours, with this layout.
                unsafe { bench.heap.shrink(block.cast(), old, new) }
            };
            block = changed.unwrap();
            assert_eq!(block.len(), new.size());
            assert!(bytes(block)[..kept].iter().all(|byte| *byte == 7), "{pair:?}");
            assert!(bytes(block)[kept..].iter().all(|byte| *byte == 0), "{pair:?}");
        }
        for pair in [300_000, 200_000, 32_769, 32_768, 500, 500, 1, 0].windows(2) {
            bytes(block).fill(9);
            // SAFETY: the block is ours, with this layout.
            block = unsafe { bench.heap.shrink(block.cast(), layout(pair[0], 8), layout(pair[1], 8)) }.unwrap();
            assert!(block.len() == pair[1] && bytes(block).iter().all(|byte| *byte == 9), "{pair:?}");
        }
        bench.end();
    }
}

#[test]
fn a_block_may_change_its_alignment() {
    for bench in benches() {
        let mut block = bench.heap.allocate(layout(100, 8)).unwrap();
        let mut before = layout(100, 8);
        for after in [
            layout(100, 64),
            layout(200, 4096),
            layout(200, 8),
            layout(300, 65_536),
            layout(300, 1),
            layout(80_000, 8),
            layout(90_000, 16_384),
        ] {
            bytes(block).fill(3);
            // SAFETY: the block is ours, with this layout.
            block = unsafe { bench.heap.grow(block.cast(), before, after) }.unwrap();
            assert_eq!(block.cast::<u8>().addr().get() % after.align(), 0, "{after:?}");
            assert!(bytes(block)[..before.size()].iter().all(|byte| *byte == 3), "{after:?}");
            before = after;
        }
        // SAFETY: as it is now.
        unsafe { bench.heap.deallocate(block.cast(), before) };
        bench.end();
    }
}

#[test]
fn a_block_that_cannot_grow_stays() {
    for bench in benches() {
        let block = bench.heap.allocate(layout(100, 8)).unwrap();
        bytes(block).fill(1);
        for size in [600 << 12, 1 << 40] {
            // SAFETY: the block is ours, with this layout.
            assert!(unsafe { bench.heap.grow(block.cast(), layout(100, 8), layout(size, 8)) }.is_err());
        }
        assert!(bytes(block).iter().all(|byte| *byte == 1));
        // SAFETY: as it was.
        unsafe { bench.heap.deallocate(block.cast(), layout(100, 8)) };
        bench.end();
    }
}

#[test]
fn a_vector_and_boxes_live_on_the_heap() {
    for bench in benches() {
        let mut numbers = Vec::new_in(&bench.heap);
        (0..60_000_u64).for_each(|number| numbers.push(number));
        numbers.retain(|number| number % 3 == 0);
        numbers.shrink_to_fit();
        assert!(numbers.iter().copied().eq((0..60_000).step_by(3)));
        let boxes: std::vec::Vec<_> = (0..500_u32).map(|number| Box::new_in([number; 9], &bench.heap)).collect();
        assert!((0..).zip(&boxes).all(|(number, of)| **of == [number; 9]));
        assert_eq!(size_of_val(&*Box::new_in((), &bench.heap)), 0);
        drop((numbers, boxes));
        bench.end();
    }
}

#[test]
fn a_map_lives_on_the_heap() {
    for bench in benches() {
        let mut ours = HashMap::with_hasher_in(RandomState::new(), &bench.heap);
        let mut theirs = std::collections::HashMap::new();
        let random = Random::new(11);
        for _ in 0..6000 {
            let key = random.below(3000);
            if random.one_in(3) {
                assert_eq!(ours.remove(&key), theirs.remove(&key));
            } else {
                let value = std::format!("{key} and {}", random.next());
                assert_eq!(ours.insert(key, value.clone()), theirs.insert(key, value));
            }
        }
        assert_eq!(ours.len(), theirs.len());
        assert!(theirs.iter().all(|(key, value)| ours.get(key) == Some(value)));
        ours.shrink_to_fit();
        assert!(bench.heap.stats().unwrap().live_bytes > 0);
        drop(ours);
        bench.end();
    }
}
