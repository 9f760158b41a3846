//! Threads at once: what each has is its own, and the sums are exact.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use kernel_arena::ArenaPtr;
use kernel_arena::pool::Pool;

use super::heap::Heap;
use super::land::Lent;
use super::{Bed, Mutex, OnRegion, PAGE_STEP, aligned, bytes, close, granules, is_back};
use crate::machine::Random;

const ROUNDS: u32 = 6_000;

type TestPool<'a> = Pool<Lent<'a>, &'a Heap>;

/// A block, and what its words hold.
#[derive(Clone, Copy)]
struct Held {
    at: ArenaPtr,
    size: usize,
    value: u64,
}

impl Held {
    fn words(self) -> impl Iterator<Item = ArenaPtr> {
        (0..u32::try_from(granules(self.size)).unwrap())
            .step_by(8)
            .map(move |skip| ArenaPtr::new(self.at.offset() + skip).unwrap())
    }

    fn fill(self, bed: &OnRegion) {
        self.words().for_each(|word| bed.store(word, self.value));
    }

    fn free(self, bed: &OnRegion, pool: &TestPool<'_>) {
        assert!(self.words().all(|word| bed.load(word) == self.value), "somebody else wrote here");
        assert_eq!(pool.free(self.at, self.size), Ok(()));
    }
}

/// Allocates and frees, also what others allocated; says what is left.
fn work(bed: &OnRegion, pool: &TestPool<'_>, exchange: &Mutex<Vec<Held>>, number: u64) -> Vec<Held> {
    let random = Random::new(number + 1);
    let below = |limit| random.below(limit);
    let mut held: Vec<Held> = Vec::new();
    for round in 0..ROUNDS {
        let size = usize::try_from(1 + if below(20) == 0 { below(20_000) } else { below(200) }).unwrap();
        if let Ok(at) = pool.alloc(aligned(size, 1 << below(8))) {
            let block = Held { at, size, value: number << 32 | u64::from(round) };
            block.fill(bed);
            held.push(block);
        }
        while held.len() > 24 || (below(3) == 0 && !held.is_empty()) {
            let block = held.swap_remove(usize::try_from(below(held.len() as u64)).unwrap());
            match below(8) {
                0 => exchange.lock().unwrap().push(block),
                // A free with the wrong size is refused, whatever the others do.
                1 => {
                    assert!(pool.free(block.at, block.size + 8).is_err());
                    block.free(bed, pool);
                }
                _ => block.free(bed, pool),
            }
        }
        let given = exchange.lock().unwrap().pop();
        given.into_iter().for_each(|block| block.free(bed, pool));
        if below(200) == 0 {
            pool.shrink();
        }
    }
    held
}

#[test]
fn threads_that_allocate_and_free_at_once_lose_nothing() {
    let bed = OnRegion::default();
    let pool = bed.pool();
    let exchange = Mutex::default();
    let left: Vec<Held> = thread::scope(|scope| {
        let (bed, pool, exchange) = (&bed, &pool, &exchange);
        let threads = [0, 1, 2, 3].map(|number| scope.spawn(move || work(bed, pool, exchange, number)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let left: Vec<Held> = left.into_iter().chain(exchange.into_inner().unwrap()).collect();
    let live: u64 = left.iter().map(|block| granules(block.size)).sum();
    let stats = pool.stats();
    assert_eq!((stats.live_blocks, stats.live_bytes), (left.len() as u64, live));
    assert!(left.iter().all(|block| block.words().all(|word| bed.load(word) == block.value)));
    left.iter().for_each(|block| block.free(&bed, &pool));
    pool.shrink();
    assert_eq!((pool.stats().held_bytes, bed.pages_taken()), (0, 0), "a free pool shrinks to nothing");
    close(pool, 0, 0);
    bed.land.recorded.lock().unwrap().clear();
    is_back(&bed);
}

/// I6: frees of one block at once: one wins, and the others are told so.
#[test]
fn of_frees_of_one_block_at_once_exactly_one_wins() {
    let bed = OnRegion::default();
    let pool = bed.pool();
    for round in 0..500 {
        let size = [8, 200, 600, 5000][round % 4];
        let block = pool.alloc(bytes(size)).unwrap();
        let wins: usize = thread::scope(|scope| {
            let threads = [0, 1, 2].map(|_| scope.spawn(|| usize::from(pool.free(block, size).is_ok())));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(wins, 1, "round {round}");
        assert_eq!(pool.stats().live_blocks, 0);
    }
    assert_eq!(bed.land.recorded.lock().unwrap().drain(..).count(), 1000);
    close(pool, 0, 0);
    is_back(&bed);
}

/// A free of another size at the same place, however stale, neither succeeds nor keeps the holder from freeing.
#[test]
fn stale_frees_at_a_place_that_is_used_again_harm_nobody() {
    let bed = OnRegion::default();
    let pool = bed.pool();
    let (stop, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let place = ArenaPtr::new(PAGE_STEP).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                assert!(pool.free(place, 1000).is_err());
                refused.fetch_add(1, SeqCst);
            }
        });
        let mut round = 0;
        while round < 20_000 || refused.load(SeqCst) < 1000 {
            // The ends of 200 and 800 bytes, and that of 1000, take turns at the same places.
            let one = pool.alloc(bytes([200, 992][round % 2])).unwrap();
            let two = pool.alloc(bytes([800, 8][round % 2])).unwrap();
            assert_eq!(one, place);
            assert_eq!(pool.free(one, [200, 992][round % 2]), Ok(()));
            assert_eq!(pool.free(two, [800, 8][round % 2]), Ok(()));
            round += 1;
        }
        stop.store(true, SeqCst);
    });
    assert_eq!(bed.land.recorded.lock().unwrap().drain(..).count() as u64, refused.into_inner());
    close(pool, 0, 0);
    is_back(&bed);
}
