//! What is lent runs out: the error says which, and nothing is lost.

use kernel_arena::ArenaPtr;
use kernel_arena::pool::PoolError;

use super::{Bed, OnRegion, PAGE, bytes, close, granules, is_back, is_exhausted, picture};

/// A life that needs several pages of bookkeeping and chunks: `Some(error)` for what was refused.
fn life(bed: &OnRegion) -> Vec<PoolError> {
    let pool = bed.pool();
    let (mut blocks, mut errors, mut bytes_live) = (Vec::new(), Vec::new(), 0);
    for size in [8, 100, 16 * PAGE, 4 * PAGE, 24, 20 * PAGE, 5000, 5 * PAGE] {
        let (before, pages) = (picture(&pool), bed.pages_taken());
        match pool.alloc(bytes(size)) {
            Ok(at) => {
                bytes_live += granules(size);
                blocks.push((at, size));
            }
            Err(error) => {
                assert_eq!((picture(&pool), bed.pages_taken()), (before, pages), "a trace of {error:?}");
                // What failed once is had when it is asked for again.
                errors.push(error);
                if error == PoolError::OutOfMetadata {
                    let at = pool.alloc(bytes(size)).unwrap();
                    bytes_live += granules(size);
                    blocks.push((at, size));
                }
            }
        }
        assert_eq!(pool.stats().live_bytes, bytes_live);
    }
    for (at, size) in blocks {
        assert_eq!(pool.free(at, size), Ok(()));
    }
    close(pool, 0, 0);
    errors
}

#[test]
fn metadata_that_runs_out_at_any_call_loses_nothing() {
    let mut failures = 0;
    for call in 0.. {
        let bed = OnRegion::default();
        bed.heap.fail_in(call);
        let errors = life(&bed);
        is_back(&bed);
        if !bed.heap.has_failed() {
            assert_eq!(errors, []);
            break;
        }
        assert_eq!(errors, [PoolError::OutOfMetadata], "call {call}");
        failures += 1;
    }
    assert!(failures >= 5, "{failures}");
}

#[test]
fn pages_that_run_out_at_any_number_lose_nothing() {
    for pages in 0..52 {
        let bed = OnRegion::default();
        bed.land.limit(pages);
        let errors = life(&bed);
        assert!(errors.iter().all(|error| is_exhausted(*error)), "{errors:?}");
        assert_eq!(pages < 49, !errors.is_empty(), "{pages} pages: {errors:?}");
        is_back(&bed);
    }
}

#[test]
fn a_pool_that_is_full_goes_on_with_what_is_freed() {
    let bed = OnRegion::default();
    bed.land.limit(4);
    let pool = bed.pool();
    let blocks: Vec<ArenaPtr> = std::iter::from_fn(|| pool.alloc(bytes(512)).ok()).collect();
    assert_eq!(blocks.len(), 32);
    for block in blocks.iter().skip(1).step_by(3) {
        assert_eq!(pool.free(*block, 512), Ok(()));
        assert!(is_exhausted(pool.alloc(bytes(520)).unwrap_err()));
        assert_eq!(pool.alloc(bytes(512)), Ok(*block));
    }
    close(pool, 32, 4 * PAGE as u64);
    is_back(&bed);
}
