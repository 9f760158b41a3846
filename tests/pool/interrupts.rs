//! Operations that interrupt others wherever those call a source: nobody waits, and nothing is lost (I8, I9).

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kernel_arena::ArenaPtr;
use kernel_arena::pool::Pool;

use super::heap::Heap;
use super::land::Lent;
use super::{Bed, OnRegion, PAGE, bytes, close, is_back};

thread_local! {
    static INTERRUPT: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// Counts the moments at which something else may come between.
#[derive(Default)]
pub(super) struct Moments {
    left: AtomicU32,
}

impl Moments {
    /// What waits for this moment, runs.
    pub(super) fn pass(&self) {
        if self.left.load(SeqCst) != 0 && self.left.fetch_sub(1, SeqCst) == 1 {
            let interrupt = INTERRUPT.take();
            interrupt.into_iter().for_each(|run| run());
        }
    }

    fn set(&self, moment: u32) {
        self.left.store(moment + 1, SeqCst);
    }
}

type TestPool = Pool<Lent<'static>, &'static Heap>;

/// Operations that call sources, on a pool that has one full chunk, one with a single block and one that is free.
struct Scene {
    bed: &'static OnRegion,
    pool: &'static TestPool,
    single: ArenaPtr,
}

impl Scene {
    fn new() -> Self {
        let bed: &'static OnRegion = Box::leak(Box::default());
        let pool: &'static TestPool = Box::leak(Box::new(bed.pool()));
        let blocks = [0, 1, 2].map(|_| pool.alloc(bytes(4 * PAGE)).unwrap());
        assert_eq!(pool.free(blocks[1], 4 * PAGE), Ok(()));
        let single = pool.alloc(bytes(24)).unwrap();
        assert_eq!(pool.free(blocks[2], 4 * PAGE), Ok(()));
        Self { bed, pool, single }
    }

    /// Everything is back, with these live blocks.
    fn end(self, blocks: u64, live: u64) {
        // SAFETY: leaked in `new`, and the interrupt, which alone had another reference, has run or was dropped.
        let pool = unsafe { Box::from_raw(std::ptr::from_ref(self.pool).cast_mut()) };
        close(*pool, blocks, live);
        is_back(self.bed);
    }
}

/// Does something; says how many blocks are live afterwards beside the full chunk, and their bytes.
type Operation = fn(&Scene) -> (u64, u64);

fn grow(scene: &Scene) -> (u64, u64) {
    assert!(scene.pool.alloc(bytes(20 * PAGE)).is_ok());
    (2, 20 * PAGE as u64 + 24)
}

fn free_the_last_block_of_a_chunk(scene: &Scene) -> (u64, u64) {
    assert_eq!(scene.pool.free(scene.single, 24), Ok(()));
    (0, 0)
}

fn shrink(scene: &Scene) -> (u64, u64) {
    scene.pool.shrink();
    (1, 24)
}

/// What interrupts: it allocates small and large, frees, and shrinks.
fn interrupt(pool: &TestPool) {
    let blocks = [16, 4 * PAGE, 6 * PAGE].map(|size| (pool.alloc(bytes(size)).expect("there are pages"), size));
    blocks.into_iter().skip(1).for_each(|(at, size)| assert_eq!(pool.free(at, size), Ok(())));
    pool.shrink();
}

#[test]
fn operations_that_interrupt_others_at_any_call_of_a_source_lose_nothing() {
    let operations: [Operation; 3] = [grow, free_the_last_block_of_a_chunk, shrink];
    for operation in operations {
        let mut interrupted = 0;
        for (moment, of_pages) in (0..).flat_map(|moment| [(moment, true), (moment, false)]) {
            let scene = Scene::new();
            let pool = scene.pool;
            INTERRUPT.set(Some(Box::new(move || interrupt(pool))));
            let moments = if of_pages { &scene.bed.land.moments } else { &scene.bed.heap.moments };
            moments.set(moment);
            let (blocks, live) = operation(&scene);
            let is_over = INTERRUPT.take().is_some();
            moments.left.store(0, SeqCst);
            interrupted += u32::from(!is_over);
            // The full chunk, and what the interrupt has left: a block of 16 bytes.
            let extra = u64::from(!is_over);
            scene.end(blocks + extra + 1, live + 16 * extra + 4 * PAGE as u64);
            if is_over && of_pages && moment > 4 {
                break;
            }
        }
        assert!(interrupted >= 2, "{interrupted}");
    }
}
