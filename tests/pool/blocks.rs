//! What upstream's allocators over an arena are tested for, said of the pool.

use std::collections::BTreeMap;

use kernel_arena::ArenaPtr;
use kernel_arena::pool::PoolError;
use kernel_arena::source::PageSource;

use super::{Bed, PAGE, PAGE_STEP, PAGES, aligned, bytes, close, granules, is_exhausted, on_region, picture};

/// T104: created and destroyed, again and again.
fn pools_come_and_go<B: Bed>(bed: &B) {
    for round in 0..10 {
        let pool = bed.pool();
        assert_eq!(pool.stats().metadata_bytes, 0, "a pool without blocks has nothing");
        assert_eq!((bed.pages_taken(), bed.heap().taken()), (0, 0), "round {round}");
        close(pool, 0, 0);
    }
}

/// T105: each size on a pool of its own.
fn every_size_is_had_from_a_new_pool<B: Bed>(bed: &B) {
    for size in [3, 17, 1025, 129, 16350, 333, 9, 517] {
        let pool = bed.pool();
        let at = pool.alloc(bytes(size)).unwrap();
        let stats = pool.stats();
        assert_eq!((stats.live_blocks, stats.live_bytes, stats.held_bytes), (1, granules(size), 4 * PAGE as u64));
        assert_eq!(pool.free(at, size), Ok(()));
        close(pool, 0, 0);
    }
}

/// T106: 800 blocks of mixed sizes, each freed before the next, and each freed after the next.
fn mixed_sizes_come_and_go<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let size = |cycle: usize| [3, 17, 1025, 129, 16350, 333, 9, 517][cycle % 8] + cycle / 8;
    for cycle in 0..800 {
        let at = pool.alloc(bytes(size(cycle))).unwrap();
        assert_eq!(pool.free(at, size(cycle)), Ok(()));
    }
    let mut before = None;
    for cycle in 0..800 {
        let at = pool.alloc(bytes(size(cycle))).unwrap();
        if let Some((at, size)) = before.replace((at, size(cycle))) {
            assert_eq!(pool.free(at, size), Ok(()));
        }
    }
    assert_eq!(pool.stats().live_blocks, 1);
    close(pool, 1, granules(size(799)));
}

/// T107: 512 live blocks keep what was written to them, and are freed in another order; a pool that is destroyed says what
/// was left.
fn many_live_blocks_keep_their_contents<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let size = |number: usize| 8 + (number * 37) % 400;
    let pattern = |number: usize, word: u64| 0xdead_beef_0000_0000 ^ ((number as u64) << 16) ^ word;
    let words = |number: usize| 0..granules(size(number)) / 8;
    let at = |block: ArenaPtr, word: u64| ArenaPtr::new(block.offset() + u32::try_from(word).unwrap() * 8).unwrap();
    let blocks: Vec<ArenaPtr> = (0..512).map(|number| pool.alloc(bytes(size(number))).unwrap()).collect();
    for (number, block) in (0..).zip(&blocks) {
        words(number).for_each(|word| bed.store(at(*block, word), pattern(number, word)));
    }
    for turn in 0..512 - 12 {
        let number = (turn * 17) % 512;
        let block = blocks[number];
        for word in words(number) {
            assert_eq!(bed.load(at(block, word)), pattern(number, word), "block {number}");
        }
        assert_eq!(pool.free(block, size(number)), Ok(()));
    }
    let left = (500..512).map(|turn| granules(size((turn * 17) % 512))).sum();
    assert_eq!((pool.stats().live_blocks, pool.stats().live_bytes), (12, left));
    close(pool, 12, left);
}

/// T108: every block starts at a multiple of 8.
fn blocks_are_aligned_to_granules<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let sizes = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 100, 4097];
    let blocks = sizes.map(|size| (pool.alloc(aligned(size, 1)).unwrap(), size));
    for (at, size) in blocks {
        assert_eq!(at.offset() % 8, 0, "{size}");
        assert_eq!(pool.free(at, size), Ok(()));
    }
    close(pool, 0, 0);
}

/// T147: one block, all of it its owner's.
fn a_block_is_its_owners<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let at = pool.alloc(bytes(64)).unwrap();
    assert_eq!(at.offset(), PAGE_STEP, "the lowest place there is");
    assert_eq!(pool.to_kernel(at), pool.source().base().wrapping_add(PAGE));
    (0..8).for_each(|word| bed.store(ArenaPtr::new(at.offset() + word * 8).unwrap(), u64::from(word)));
    assert!((0..8).all(|word| bed.load(ArenaPtr::new(at.offset() + word * 8).unwrap()) == u64::from(word)));
    assert_eq!(pool.free(at, 64), Ok(()));
    close(pool, 0, 0);
}

/// T148: several blocks lie side by side, and the lowest place that fits is taken first.
fn blocks_lie_at_the_lowest_place_that_fits<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let start = PAGE_STEP;
    let blocks = [24, 8, 40, 16, 100].map(|size| (pool.alloc(bytes(size)).unwrap().offset() - start, size));
    assert_eq!(blocks.map(|(at, _)| at), [0, 24, 32, 72, 88]);
    for number in [1, 2] {
        assert_eq!(pool.free(ArenaPtr::new(start + blocks[number].0).unwrap(), blocks[number].1), Ok(()));
    }
    // 24 to 72 is free.
    assert_eq!(pool.alloc(bytes(48)).unwrap().offset() - start, 24);
    assert_eq!(pool.alloc(bytes(8)).unwrap().offset() - start, 192);
    close(pool, 5, 24 + 48 + 16 + 104 + 8);
}

/// T149: alignments from one byte to a page, both ways round.
fn blocks_are_aligned_as_asked<B: Bed>(bed: &B) {
    let rising: Vec<usize> = (0..=12).map(|bits| 1 << bits).collect();
    let falling: Vec<usize> = rising.iter().rev().copied().collect();
    for order in [rising, falling] {
        let pool = bed.pool();
        let mut ends = BTreeMap::new();
        for &align in &order {
            for size in [1, 24, align, align + 1] {
                let at = pool.alloc(aligned(size, align)).unwrap();
                assert_eq!(at.offset() as usize % align, 0, "{size} bytes at {at:?}");
                ends.insert(at.offset(), (at.offset() + u32::try_from(granules(size)).unwrap(), size));
            }
        }
        let starts = ends.keys().copied().skip(1).chain([u32::MAX]);
        assert!(ends.values().zip(starts).all(|((end, _), start)| *end <= start), "blocks overlap: {ends:?}");
        for (at, (_, size)) in ends {
            assert_eq!(pool.free(ArenaPtr::new(at).unwrap(), size), Ok(()));
        }
        close(pool, 0, 0);
    }
}

/// T150: a pool hands out all that its source has, padding for alignment aside, and says so when there is no more; what was
/// left out for alignment is had by others.
fn a_pool_is_exhausted_only_when_nothing_fits<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let mut blocks = Vec::new();
    // 24 bytes at multiples of 64: 40 of each 64 bytes are padding.
    let error = loop {
        match pool.alloc(aligned(24, 64)) {
            Ok(at) => blocks.push((at, 24)),
            Err(error) => break error,
        }
    };
    assert!(is_exhausted(error), "{error:?}");
    assert_eq!(blocks.len(), PAGES as usize * PAGE / 64);
    assert_eq!(bed.pages_taken(), PAGES);
    let before = picture(&pool);
    assert!(is_exhausted(pool.alloc(bytes(48)).unwrap_err()));
    assert_eq!(picture(&pool), before);
    while let Ok(at) = pool.alloc(bytes(40)) {
        blocks.push((at, 40));
    }
    assert_eq!(blocks.len(), 2 * PAGES as usize * PAGE / 64);
    assert_eq!(pool.stats().free_bytes, 0);
    assert!(is_exhausted(pool.alloc(bytes(1)).unwrap_err()));
    for (at, size) in blocks {
        assert_eq!(pool.free(at, size), Ok(()));
    }
    close(pool, 0, 0);
}

/// One block of everything, and one of more than that.
fn a_block_may_be_as_large_as_the_source<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let all = PAGES as usize * PAGE;
    let at = pool.alloc(bytes(all)).unwrap();
    assert_eq!(pool.free(at, all), Ok(()));
    for size in [all + 1, 1 << 32, isize::MAX as usize - 4096] {
        assert_eq!(pool.alloc(bytes(size)), Err(PoolError::TooLarge));
    }
    assert_eq!(pool.alloc(bytes(0)), Err(PoolError::ZeroSize));
    assert_eq!(pool.alloc(aligned(8, 8192)), Err(PoolError::TooAligned));
    assert_eq!(pool.alloc_zeroed(bytes(0)), Err(PoolError::ZeroSize));
    close(pool, 0, 0);
}

on_each_source!(
    pools_come_and_go,
    every_size_is_had_from_a_new_pool,
    mixed_sizes_come_and_go,
    many_live_blocks_keep_their_contents,
    blocks_are_aligned_to_granules,
    a_block_is_its_owners,
    blocks_lie_at_the_lowest_place_that_fits,
    blocks_are_aligned_as_asked,
    a_pool_is_exhausted_only_when_nothing_fits,
    a_block_may_be_as_large_as_the_source,
);

/// T147, T148: zeroed memory, new or used before, and nothing else is zeroed.
#[test]
fn zeroed_blocks_are_zero_and_their_neighbours_are_not() {
    on_region(|bed| {
        let pool = bed.pool();
        for size in [1, 8, 9, 100, 512, 5000] {
            for round in 0..3 {
                let at = pool.alloc_zeroed(bytes(size)).unwrap();
                let end = at.offset() + u32::try_from(granules(size)).unwrap();
                for word in (at.offset()..end).step_by(8).filter_map(ArenaPtr::new) {
                    assert_eq!(bed.load(word), 0, "{size} bytes, round {round}");
                    bed.store(word, !0);
                }
                assert_ne!(bed.load(ArenaPtr::new(end).unwrap()), 0, "the word after {size} bytes");
                assert_eq!(pool.free(at, size), Ok(()));
            }
        }
        close(pool, 0, 0);
    });
}

/// I11: whatever is allocated and freed, the pool writes nothing into the memory.
#[test]
fn memory_that_is_handed_out_is_never_written_to() {
    on_region(|bed| {
        let pool = bed.pool();
        let blocks: Vec<_> = (1..300).map(|size| (pool.alloc(bytes(size)).unwrap(), size)).collect();
        for (at, size) in blocks {
            assert_eq!(pool.free(at, size), Ok(()));
            assert!(pool.free(at, size).is_err() && bed.recorded().is_some());
        }
        pool.shrink();
        close(pool, 0, 0);
        let words =
            (1..=PAGES).flat_map(|page| (0..512).map(move |word| ArenaPtr::new((page << 12) + word * 8).unwrap()));
        assert!(words.into_iter().all(|word| bed.load(word) == 0x5a5a_5a5a_5a5a_5a5a));
    });
}
