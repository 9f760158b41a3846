//! The debug mode sees runs of pages as it sees objects: what holds for one size holds for all.

use std::alloc::{GlobalAlloc, Layout};

use kernel_arena::slab::{LARGEST, Mode};
use kernel_arena::{ArenaPtr, Misuse};

use super::blocks::{Bench, Block};
use crate::slab::bench::{bytes, layout};
use crate::slab::lab::Lab;

fn bench(pages: usize) -> Bench {
    Bench::on(&Lab::new(pages), Mode::Debug)
}

/// Frees without looking whether it is right to; says what was found.
fn free_as(bench: &Bench, block: *mut u8, named: Layout) -> Vec<Misuse> {
    // SAFETY: none: that is what the mode is for. The lab's memory stays where it is.
    unsafe { bench.heap.dealloc(block, named) };
    misuses(bench).into_iter().map(|(_, misuse)| misuse).collect()
}

fn misuses(bench: &Bench) -> Vec<(ArenaPtr, Misuse)> {
    std::mem::take(&mut bench.lab.book().misuses)
}

/// Writes to a byte of a block, or beside it.
fn poke(block: *mut u8, byte: usize) {
    let at = block.wrapping_add(byte);
    // SAFETY: pages of the lab, which has one thread.
    let was = unsafe { at.read() };
    // SAFETY: as above.
    unsafe { at.write(!was) };
}

/// Sizes of objects and of runs, and those between that the fast mode serves by objects.
const SIZES: [usize; 12] =
    [1, 40, 4096, LARGEST - 9, LARGEST - 8, LARGEST - 7, LARGEST, LARGEST + 1, 40_000, 40_960, 40_960 - 8, 300_000];

#[test]
fn what_is_used_well_is_never_blamed() {
    let bench = bench(1024);
    for size in SIZES {
        for align in [1, 8, 4096, 16_384] {
            let one = bench.alloc(layout(size, align)).unwrap();
            let two = bench.alloc_zeroed(layout(size, align)).unwrap();
            bench.free(one);
            let two = bench.realloc(two, size + 5000).unwrap();
            let two = bench.realloc(two, size).unwrap();
            bench.free(two);
        }
    }
    bench.end();
}

#[test]
fn a_second_free_is_found_and_takes_nothing_from_who_came_after() {
    for size in SIZES {
        let bench = bench(1024);
        let block = bench.alloc(bytes(size)).unwrap();
        bench.free(block);
        let before = bench.heap.stats().unwrap();
        assert_eq!(free_as(&bench, block.start, block.layout), [Misuse::NotLive], "{size} bytes");
        assert_eq!(bench.heap.stats().unwrap().live_bytes, before.live_bytes);
        bench.heap.drain();
        let again: Vec<Block> = (0..3).map(|_| bench.alloc(bytes(size)).unwrap()).collect();
        for block in &again {
            bench.check(block);
        }
        again.into_iter().for_each(|block| bench.free(block));
        bench.end();
    }
}

#[test]
fn a_free_with_another_size_is_found_and_the_block_stays_its_holders() {
    for size in SIZES {
        for named in SIZES.into_iter().chain([33, 36, 39, 41, 80_000]).filter(|named| *named != size) {
            let bench = bench(1024);
            let (block, next) = (bench.alloc(bytes(size)).unwrap(), bench.alloc(bytes(size)).unwrap());
            assert_eq!(free_as(&bench, block.start, bytes(named)), [Misuse::WrongSize], "{size} as {named}");
            bench.check(&next);
            bench.free(block);
            bench.free(next);
            bench.end();
        }
    }
}

#[test]
fn an_overrun_is_found_and_what_was_damaged_stays_out() {
    for size in SIZES {
        for beyond in [0, 7] {
            let bench = bench(1024);
            let block = bench.alloc(bytes(size)).unwrap();
            poke(block.start, size + beyond);
            assert_eq!(free_as(&bench, block.start, block.layout), [Misuse::Overrun], "{size} bytes");
            bench.heap.drain();
            assert!(bench.lab.pages_out() > 0);
            assert_eq!(free_as(&bench, block.start, block.layout), [Misuse::NotLive], "{size} bytes");
        }
    }
}

#[test]
fn a_write_after_the_free_is_found() {
    // Longer runs go back at once.
    for size in SIZES.into_iter().filter(|size| *size < 64 << 12) {
        for byte in [0, size - 1] {
            let bench = bench(1024);
            let block = bench.alloc(bytes(size)).unwrap();
            bench.free(block);
            poke(block.start, byte);
            assert_eq!(misuses(&bench), []);
            bench.heap.drain();
            assert_eq!(
                misuses(&bench).into_iter().map(|(_, misuse)| misuse).collect::<Vec<_>>(),
                [Misuse::WrittenAfterFree]
            );
        }
    }
}

#[test]
fn runs_in_quarantine_go_when_memory_is_short() {
    let bench = bench(128);
    for _ in 0..10 {
        let blocks: Vec<Block> = std::iter::from_fn(|| bench.alloc(bytes(40_000))).collect();
        assert_eq!(blocks.len(), 12);
        blocks.into_iter().for_each(|block| bench.free(block));
    }
    bench.end();
}

#[test]
fn wild_frees_are_told_by_their_kind() {
    let bench = bench(256);
    let run = bench.alloc(bytes(40_000)).unwrap();
    let named = bytes(40_000);
    assert_eq!(free_as(&bench, run.start.wrapping_add(4096), named), [Misuse::NoObjects]);
    assert_eq!(free_as(&bench, run.start.wrapping_add(8), named), [Misuse::NoObjects]);
    assert_eq!(free_as(&bench, run.start.wrapping_add(1 << 22), named), [Misuse::Outside]);
    assert_eq!(free_as(&bench, run.start.wrapping_sub(1 << 13), named), [Misuse::Outside]);
    bench.free(run);
    bench.end();
}

/// What is counted stays within what there is, without the debug mode, too.
#[test]
fn counts_of_runs_never_wrap() {
    let bench = Bench::new(64);
    let run = bench.alloc(bytes(40_000)).unwrap();
    bench.free(run);
    assert_eq!(free_as(&bench, run.start, run.layout), [Misuse::NotLive]);
    assert_eq!(free_as(&bench, run.start.wrapping_add(1 << 20), run.layout), [Misuse::Outside]);
    let stats = bench.heap.stats().unwrap();
    assert_eq!((stats.live_bytes, stats.run_bytes, stats.held_bytes), (0, 0, 0));
    bench.end();
}

#[test]
fn zero_bytes_are_refused_as_such_whatever_their_alignment() {
    let bench = Bench::new(64);
    for align in [1, 4096, 8192] {
        assert!(bench.heap.try_alloc(layout(0, align)).unwrap_err().to_string().contains("zero bytes"), "{align}");
    }
}
