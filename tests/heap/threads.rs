//! Real threads on one heap.

use std::alloc::Layout;
use std::sync::Mutex;
use std::thread;

use super::blocks::{Bench, Block};
use crate::machine::Random;
use crate::slab::cpus::on;

/// A block goes from thread to thread with its address.
struct Sent(Block);
// SAFETY: whoever has it has the block alone.
unsafe impl Send for Sent {}

#[test]
fn threads_that_share_blocks_of_all_sizes_lose_nothing() {
    let bench = Bench::new(2048);
    let pool: Mutex<Vec<Sent>> = Mutex::default();
    thread::scope(|scope| {
        for cpu in 0..4_u16 {
            let (bench, pool) = (&bench, &pool);
            scope.spawn(move || on(cpu, 0, || work(bench, pool, u64::from(cpu))));
        }
    });
    let left = pool.into_inner().unwrap();
    let stats = bench.heap.stats().unwrap();
    assert_eq!(stats.held_bytes, (bench.lab.pages_out() as u64) << 12);
    left.into_iter().for_each(|Sent(block)| bench.free(block));
    (1..4).for_each(|cpu| _ = on(cpu, 0, || bench.heap.drain()));
    bench.end();
}

fn work(bench: &Bench, pool: &Mutex<Vec<Sent>>, seed: u64) {
    let random = Random::new(seed);
    for step in 0..3000 {
        let size = 1 + usize::try_from(random.below(1 << random.below(17))).unwrap();
        let victim = {
            let mut pool = pool.lock().unwrap();
            let many = pool.len() as u64;
            (many > 60 || many > 0 && random.one_in(2))
                .then(|| pool.swap_remove(usize::try_from(random.below(many)).unwrap()))
        };
        let block = match victim {
            None => bench.alloc(Layout::from_size_align(size, 8).unwrap()),
            Some(Sent(block)) if random.one_in(3) => Some(bench.realloc(block, size).unwrap_or(block)),
            Some(Sent(block)) => {
                bench.free(block);
                None
            }
        };
        pool.lock().unwrap().extend(block.map(Sent));
        if step % 500 == 499 {
            bench.heap.drain();
        }
    }
}
