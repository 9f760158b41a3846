//! Pages come when they are needed, four at least, and go when nothing on them is used.

use kernel_arena::ArenaPtr;

use super::land::Traffic::{Back, Out};
use super::{Bed, PAGE, PAGES, aligned, bytes, close, granules, on_region, picture};

/// Four pages at a time, or what the block needs.
fn a_pool_grows_by_four_pages_or_what_is_needed<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let mut held = 0;
    for (size, grown) in [(8, 4), (4 * PAGE - 8, 0), (8, 4), (4 * PAGE, 4), (4 * PAGE + 1, 5), (9 * PAGE, 9)] {
        assert!(pool.alloc(bytes(size)).is_ok());
        held += grown;
        assert_eq!(bed.pages_taken(), held, "after {size} bytes");
    }
    // 4 pages less a granule, and 4 pages less a granule, are still free.
    assert_eq!((pool.stats().chunks, pool.stats().held_bytes), (5, u64::from(held) * PAGE as u64));
    close(pool, 6, [8, 4 * PAGE - 8, 8, 4 * PAGE, 4 * PAGE + 1, 9 * PAGE].map(granules).iter().sum());
}

/// Where chunks lie side by side a block may reach from one into the next, and holds both.
fn a_block_may_reach_into_the_next_chunk<B: Bed>(bed: &B) {
    let pool = bed.pool();
    let large = 4 * PAGE - 64;
    let (one, two) = (pool.alloc(bytes(large)).unwrap(), pool.alloc(bytes(large)).unwrap());
    assert_eq!(pool.free(two, large), Ok(()));
    let across = pool.alloc(bytes(128)).unwrap();
    assert_eq!(across.offset() as usize, PAGE + large);
    assert_eq!(pool.free(one, large), Ok(()));
    assert_eq!((pool.shrink().get(), bed.pages_taken()), (0, 8));
    bed.store(ArenaPtr::new(across.offset() + 120).unwrap(), 7);
    assert_eq!(bed.load(ArenaPtr::new(across.offset() + 120).unwrap()), 7);
    assert_eq!(pool.free(across, 128), Ok(()));
    assert_eq!(bed.pages_taken(), 4, "one of the two was kept");
    close(pool, 0, 0);
}

/// All free chunks go back, and only those.
fn shrink_gives_back_what_is_free<B: Bed>(bed: &B) {
    let pool = bed.pool();
    assert_eq!(pool.shrink().get(), 0);
    let blocks: Vec<ArenaPtr> = (0..8).map(|_| pool.alloc(bytes(4 * PAGE)).unwrap()).collect();
    let small = pool.alloc(bytes(8)).unwrap();
    let before = picture(&pool);
    assert_eq!(pool.reclaim().get(), 0, "nothing is free");
    assert_eq!(picture(&pool), before);
    for number in [1, 3, 5] {
        assert_eq!(pool.free(blocks[number], 4 * PAGE), Ok(()));
    }
    assert_eq!(pool.reclaim().get(), 4);
    assert_eq!((pool.stats().chunks, bed.pages_taken()), (6, 24));
    // The holes are used again, lowest first.
    let again = [0, 1, 2].map(|_| pool.alloc(bytes(4 * PAGE)).unwrap());
    assert_eq!(again, [blocks[1], blocks[3], blocks[5]]);
    assert_eq!(pool.free(small, 8), Ok(()));
    close(pool, 8, 32 * PAGE as u64);
}

on_each_source!(
    a_pool_grows_by_four_pages_or_what_is_needed,
    a_block_may_reach_into_the_next_chunk,
    shrink_gives_back_what_is_free,
);

#[test]
fn the_last_free_chunk_is_kept_so_that_a_pair_at_the_edge_asks_for_no_page() {
    on_region(|bed| {
        let pool = bed.pool();
        let full = pool.alloc(bytes(4 * PAGE)).unwrap();
        for _ in 0..100 {
            let at = pool.alloc(bytes(16)).unwrap();
            assert_eq!(pool.free(at, 16), Ok(()));
        }
        assert_eq!(bed.land.take_traffic(), [Out(1, 4), Out(5, 4)]);
        // A second free chunk: the one that was kept goes.
        assert_eq!(pool.free(full, 4 * PAGE), Ok(()));
        assert_eq!(bed.land.take_traffic(), [Back(5, 4)]);
        for _ in 0..100 {
            let at = pool.alloc(bytes(16)).unwrap();
            assert_eq!(pool.free(at, 16), Ok(()));
        }
        assert_eq!(bed.land.take_traffic(), []);
        assert_eq!(pool.shrink().get(), 4);
        assert_eq!(bed.land.take_traffic(), [Back(1, 4)]);
        close(pool, 0, 0);
    });
}

#[test]
fn a_chunk_that_was_kept_and_is_used_again_does_not_go_back() {
    on_region(|bed| {
        let pool = bed.pool();
        let (one, two) = (pool.alloc(bytes(4 * PAGE)).unwrap(), pool.alloc(bytes(4 * PAGE)).unwrap());
        assert_eq!(pool.free(one, 4 * PAGE), Ok(()));
        let small = pool.alloc(bytes(8)).unwrap();
        assert_eq!(small, one);
        assert_eq!(pool.free(two, 4 * PAGE), Ok(()));
        assert_eq!(bed.land.take_traffic(), [Out(1, 4), Out(5, 4)]);
        close(pool, 1, 8);
    });
}

#[test]
fn a_source_with_fewer_than_four_pages_gives_what_the_block_needs() {
    on_region(|bed| {
        bed.land.limit(6);
        let pool = bed.pool();
        let blocks = [0, 1, 2].map(|_| pool.alloc(aligned(PAGE + 1, PAGE)));
        assert!(blocks.iter().all(Result::is_ok), "{blocks:?}");
        assert_eq!(bed.land.take_traffic(), [Out(1, 4), Out(5, 2)]);
        assert!(pool.alloc(bytes(PAGE)).is_err());
        close(pool, 3, 3 * granules(PAGE + 1));
    });
}

#[test]
fn bookkeeping_is_at_most_a_fifteenth_and_a_few_pages() {
    on_region(|bed| {
        let pool = bed.pool();
        let at = pool.alloc(bytes(PAGES as usize * PAGE)).unwrap();
        // Pages 1 to 64 touch five groups of 15 pages; the sixth page is the table that leads to them.
        assert_eq!(pool.stats().metadata_bytes, 6 * PAGE as u64);
        assert_eq!(bed.heap.taken(), 6);
        assert_eq!(pool.free(at, PAGES as usize * PAGE), Ok(()));
        close(pool, 0, 0);
    });
}

/// The hints say that a page is full when it is, and no more once it is not.
#[test]
fn a_granule_that_was_freed_in_a_full_page_is_found_again() {
    on_region(|bed| {
        let pool = bed.pool();
        let blocks: Vec<ArenaPtr> = (0..PAGES as usize * PAGE / 64).map(|_| pool.alloc(bytes(64)).unwrap()).collect();
        assert!(pool.alloc(bytes(8)).is_err());
        bed.land.take_traffic();
        for number in [0, 63, 64, 100, 64 * 14, 64 * 15 + 1, blocks.len() - 1] {
            assert_eq!(pool.free(blocks[number], 64), Ok(()));
            assert_eq!(pool.alloc(bytes(64)), Ok(blocks[number]));
        }
        assert_eq!(bed.land.take_traffic(), []);
        close(pool, blocks.len() as u64, u64::from(PAGES) * PAGE as u64);
    });
}

#[test]
fn a_free_in_a_chunk_that_is_used_leaves_the_kept_one_alone() {
    on_region(|bed| {
        let pool = bed.pool();
        let (one, _two) = (pool.alloc(bytes(4096)).unwrap(), pool.alloc(bytes(8)).unwrap());
        let large = pool.alloc(bytes(4 * PAGE)).unwrap();
        assert_eq!(pool.free(large, 4 * PAGE), Ok(()));
        assert_eq!(pool.free(one, 4096), Ok(()));
        assert_eq!(bed.land.take_traffic(), [Out(1, 4), Out(5, 4)]);
        close(pool, 1, 8);
    });
}
