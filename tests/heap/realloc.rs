//! Blocks that change their size.

use std::alloc::Layout;

use kernel_arena::slab::{LARGEST, SizeClass};

use super::blocks::{Bench, Block};

const PAGE: usize = 4096;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn alloc(bench: &Bench, size: usize) -> Block {
    bench.alloc(layout(size, 8)).unwrap()
}

#[test]
fn within_a_class_a_block_stays_where_it_is() {
    let bench = Bench::new(256);
    for class in SizeClass::all() {
        let below = SizeClass::all().nth(class.index().wrapping_sub(1)).map_or(0, SizeClass::size);
        let block = alloc(&bench, class.size());
        let less = bench.realloc(block, below + 1).unwrap();
        let again = bench.realloc(less, class.size()).unwrap();
        assert_eq!((less.start, again.start), (block.start, block.start), "{class:?}");
        bench.free(again);
    }
    bench.end();
}

#[test]
fn into_another_class_a_block_moves_with_its_contents() {
    let bench = Bench::new(512);
    let sizes = [1, 8, 9, 64, 100, 500, 4096, 10_000, LARGEST, LARGEST + 1, 100_000];
    for from in sizes {
        for to in sizes {
            let block = alloc(&bench, from);
            let moved = bench.realloc(block, to).unwrap();
            let stays = SizeClass::of_size(from) == SizeClass::of_size(to)
                && (from.max(to) <= LARGEST || from.min(to) > LARGEST);
            assert!(stays || from.max(to) > LARGEST || moved.start != block.start, "{from} to {to}");
            let live = bench.heap.stats().unwrap().live_bytes;
            let counted = SizeClass::of_size(to).map_or(to.next_multiple_of(PAGE), SizeClass::size);
            assert_eq!(live, counted as u64, "the old block is free");
            bench.free(moved);
        }
    }
    bench.end();
}

#[test]
fn a_run_grows_where_it_is_if_the_pages_behind_it_are_free() {
    let bench = Bench::new(64);
    let run = alloc(&bench, 10 * PAGE);
    let grown = bench.realloc(run, 20 * PAGE - 1).unwrap();
    assert_eq!(grown.start, run.start);
    assert_eq!(bench.lab.pages_out(), 20);
    assert_eq!(bench.heap.stats().unwrap().run_bytes, 20 << 12);
    let same = bench.realloc(grown, 20 * PAGE).unwrap();
    assert_eq!((same.start, bench.lab.pages_out()), (run.start, 20), "no page more");
    let all = bench.realloc(same, 64 * PAGE).unwrap();
    assert_eq!(all.start, run.start);
    assert_eq!(bench.realloc(all, 64 * PAGE + 1), None, "there are no more");
    assert_eq!(bench.heap.stats().unwrap().run_bytes, 64 << 12);
    bench.free(all);
    bench.end();
}

#[test]
fn a_run_moves_if_a_page_behind_it_is_taken() {
    let bench = Bench::new(64);
    let run = alloc(&bench, 10 * PAGE);
    let behind = alloc(&bench, 9 * PAGE);
    assert_eq!(behind.start, run.start.wrapping_add(10 * PAGE));
    let moved = bench.realloc(run, 11 * PAGE).unwrap();
    assert_ne!(moved.start, run.start);
    assert_eq!(bench.heap.stats().unwrap().run_bytes, 20 << 12);
    let last = alloc(&bench, 10 * PAGE);
    assert_eq!(last.start, run.start, "where it was is free");
    // Some of the pages behind are free, but not all.
    bench.free(behind);
    let moved_again = bench.realloc(last, 20 * PAGE).unwrap();
    assert_ne!(moved_again.start, last.start);
    [moved, moved_again].into_iter().for_each(|block| bench.free(block));
    bench.end();
}

#[test]
fn a_run_that_shrinks_gives_its_tail_back() {
    let bench = Bench::new(64);
    let run = alloc(&bench, 60 * PAGE);
    let less = bench.realloc(run, 20 * PAGE + 1).unwrap();
    assert_eq!((less.start, bench.lab.pages_out()), (run.start, 21));
    assert_eq!(bench.heap.stats().unwrap().run_bytes, 21 << 12);
    let tail = alloc(&bench, 43 * PAGE);
    assert_eq!(tail.start, run.start.wrapping_add(21 * PAGE), "the tail is for others");
    bench.check(&less);
    // An object of the largest class finds no page: the run stays as it was.
    assert_eq!(bench.realloc(less, LARGEST), None);
    assert_eq!(bench.heap.stats().unwrap().run_bytes, 64 << 12);
    [tail, less].into_iter().for_each(|block| bench.free(block));
    bench.end();
}

#[test]
fn an_aligned_run_keeps_its_alignment_wherever_it_goes() {
    let bench = Bench::new(256);
    for align in [8192, 16_384, 65_536] {
        let mut block = bench.alloc(layout(100, align)).unwrap();
        let in_the_way = bench.alloc(layout(8, 8192)).unwrap();
        for size in [5000, 70_000, 8, 200_000, 4096] {
            block = bench.realloc(block, size).unwrap();
        }
        bench.free(block);
        bench.free(in_the_way);
    }
    bench.end();
}

#[test]
fn what_cannot_grow_stays_as_it_was() {
    let bench = Bench::new(16);
    let (object, run) = (alloc(&bench, 100), alloc(&bench, 10 * PAGE));
    for size in [17 * PAGE, 1 << 33, isize::MAX as usize - 7] {
        assert_eq!(bench.realloc(object, size), None);
        assert_eq!(bench.realloc(run, size), None);
    }
    [object, run].into_iter().for_each(|block| bench.free(block));
    bench.end();
}
