//! Sizes and alignments around the border between objects and pages.

use std::alloc::Layout;
use std::sync::Arc;

use kernel_arena::AllocError;
use kernel_arena::heap::HeapError;
use kernel_arena::slab::{LARGEST, Mode, SlabError};

use super::blocks::Bench;
use crate::slab::lab::{Fail, Lab};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn every_alignment_up_to_64_kib_is_kept_for_every_size() {
    let bench = Bench::new(1024);
    let sizes = [1, 8, 100, 4096, 4097, LARGEST - 1, LARGEST, LARGEST + 1, 40_000, 65_536, 200_000];
    for align in (0..=16).map(|shift| 1 << shift) {
        let blocks: Vec<_> = sizes.iter().map(|size| bench.alloc(layout(*size, align)).unwrap()).collect();
        blocks.iter().for_each(|block| bench.check(block));
        blocks.into_iter().for_each(|block| bench.free(block));
    }
    bench.end();
}

/// Pages are numbered from the source's base, which is aligned to a page and to nothing more.
#[test]
fn addresses_are_aligned_whatever_the_base_is() {
    for shift in [1, 3, 8] {
        let bench = Bench::<false>::on(&Lab::crooked(256, shift), Mode::Fast);
        for align in [8, 4096, 8192, 16_384, 65_536] {
            for size in [8, 5000, 40_000] {
                let Some(block) = bench.alloc(layout(size, align)) else { continue };
                bench.free(block);
            }
        }
        bench.end();
    }
}

#[test]
fn above_the_largest_class_whole_pages_are_taken_and_below_objects() {
    let bench = Bench::new(256);
    let object = bench.alloc(layout(LARGEST, 8)).unwrap();
    assert_eq!(bench.heap.stats().unwrap().run_bytes, 0);
    let run = bench.alloc(layout(LARGEST + 1, 8)).unwrap();
    assert_eq!(bench.heap.stats().unwrap().run_bytes, 9 << 12);
    let aligned = bench.alloc(layout(1, 8192)).unwrap();
    let stats = bench.heap.stats().unwrap();
    assert_eq!(stats.run_bytes, 10 << 12);
    assert_eq!(stats.live_bytes, LARGEST as u64 + (10 << 12));
    assert_eq!(stats.held_bytes, (bench.lab.pages_out() as u64) << 12);
    assert_eq!(stats.slab.live_bytes, LARGEST as u64);
    assert!(stats.peak_held_bytes >= stats.live_bytes);
    [object, run, aligned].into_iter().for_each(|block| bench.free(block));
    assert_eq!(bench.heap.stats().unwrap().run_bytes, 0);
    bench.end();
    assert!(bench.heap.stats().unwrap().peak_held_bytes >= stats.peak_held_bytes);
}

#[test]
fn what_cannot_be_had_is_refused_by_name() {
    let bench = Bench::new(64);
    let refused = |size, align| bench.heap.try_alloc(layout(size, align)).unwrap_err();
    assert_eq!(refused(0, 8), HeapError::Slab(SlabError::ZeroSize));
    assert!(matches!(refused(65 << 12, 8), HeapError::Pages(AllocError::NoSpace(_))));
    assert!(matches!(refused(8, 1 << 19), HeapError::Pages(AllocError::NoSpace(_))), "no such page here");
    for (size, align) in [(1 << 33, 8), (1 << 45, 1), (isize::MAX as usize, 1), (8, 1 << 33)] {
        assert_eq!(refused(size, align), HeapError::TooLarge, "{size} aligned to {align}");
        assert_eq!(bench.alloc(layout(size, align)), None);
    }
    assert_eq!(bench.lab.pages_out(), 0);
    bench.end();
}

#[test]
fn pages_that_magazines_and_empty_slabs_keep_are_there_for_a_run() {
    let bench = Bench::new(64);
    let small: Vec<_> = (0..3000).map(|_| bench.alloc(layout(64, 8)).unwrap()).collect();
    small.into_iter().for_each(|block| bench.free(block));
    assert!(bench.lab.pages_out() > 0);
    let run = bench.alloc(layout(64 << 12, 8)).unwrap();
    assert_eq!(bench.alloc(layout(8, 8)), None, "all pages are taken");
    bench.free(run);
    assert!(bench.alloc(layout(8, 8)).is_some_and(|block| {
        bench.free(block);
        true
    }));
    bench.end();
}

#[test]
fn a_run_that_fails_at_any_call_leaves_no_trace() {
    for n in 0..4 {
        let bench = Bench::new(64);
        bench.lab.book().pages_fail = Fail::From(n);
        let first = bench.alloc(layout(50_000, 8));
        let second = bench.alloc(layout(60_000, 8192));
        assert_eq!((first.is_some(), second.is_some()), (n > 0, n > 1));
        let stats = bench.heap.stats().unwrap();
        assert_eq!(stats.run_bytes, (bench.lab.pages_out() as u64) << 12);
        first.into_iter().chain(second).for_each(|block| bench.free(block));
        bench.end();
    }
}

#[test]
fn zeroed_blocks_are_zero_although_their_memory_was_used_before() {
    fn of<const ZEROED: bool>() {
        let bench = Bench::<ZEROED>::on(&Lab::new(256), Mode::Fast);
        for (size, align) in
            [(1, 1), (7, 1), (64, 8), (100, 8), (4096, 4096), (LARGEST, 8), (LARGEST + 1, 8), (50_000, 8192)]
        {
            for _ in 0..3 {
                let blocks: Vec<_> = (0..4).map(|_| bench.alloc(layout(size, align)).unwrap()).collect();
                blocks.into_iter().for_each(|block| bench.free(block));
                let blocks: Vec<_> = (0..4).map(|_| bench.alloc_zeroed(layout(size, align)).unwrap()).collect();
                blocks.into_iter().for_each(|block| bench.free(block));
            }
        }
        bench.end();
    }
    of::<false>();
    of::<true>();
}

#[test]
fn a_heap_in_debug_mode_finds_what_its_users_do_wrong() {
    let lab = Lab::new(64);
    let bench = Bench::<false>::on(&lab, Mode::Debug);
    for size in [1, 8, 100, LARGEST, LARGEST + 1] {
        let block = bench.alloc_zeroed(layout(size, 8)).unwrap();
        let block = bench.realloc(block, size + 20).unwrap();
        let block = bench.realloc(block, size).unwrap();
        // In the same class, but the canary moves.
        let block = bench.realloc(block, size.max(3) - 2).unwrap();
        bench.free(block);
    }
    bench.end();
    let block = bench.alloc(layout(48, 8)).unwrap();
    // SAFETY: none; the class has room for it, so that nobody else is harmed.
    unsafe { block.start.wrapping_add(48).write(1) };
    bench.free(block);
    assert_eq!(Arc::clone(&lab).book().misuses.len(), 1);
}
