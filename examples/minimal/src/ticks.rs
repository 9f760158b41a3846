//! What the timer's handler does: as handlers do, it allocates, keeps something from tick to tick, and has bugs.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::Mutex;

use crate::arena::ARENA;
use crate::wild;

/// Where ticks make wild reads, each in the next of these pages.
const WILD: u32 = 3000 << 12;
const WILD_PAGES: u64 = 1000;

/// How many ticks there were.
static TICKS: AtomicU64 = AtomicU64::new(0);
/// What the last tick left behind; only ticks come here.
static KEPT: Mutex<Vec<Block>> = Mutex::new(Vec::new());
/// How many blocks that are, every other time; else twice as many.
const BLOCKS: usize = 100;

/// What both ticks and the thread take, a number in each word: blocks that two have at once show.
pub(crate) type Block = Box<[u64; 8]>;

/// How many ticks there were.
pub(crate) fn count() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// Runs with interrupts off, in the timer's handler.
pub(crate) fn tick() {
    let number = TICKS.fetch_add(1, Ordering::Relaxed);
    let mut kept = KEPT.lock();
    assert!(are_whole(&kept, number), "a block that tick {} has filled is damaged", number.wrapping_sub(1));
    // Now more than before, now less: where a tick leaves as many as it found, a name that the thread has, too, does no harm.
    *kept = blocks(BLOCKS << (number % 2), number + 1);
    let page = number % WILD_PAGES;
    if let Some(arena) = ARENA.get() {
        wild::read(wild::address(arena, WILD + page as u32 * 4096));
    }
}

/// So many blocks, filled with this number.
pub(crate) fn blocks(count: usize, number: u64) -> Vec<Block> {
    (0..count).map(|_| Box::new([number; 8])).collect()
}

/// Whether each word still has the number.
pub(crate) fn are_whole(blocks: &[Block], number: u64) -> bool {
    blocks.iter().all(|block| block.iter().all(|word| *word == number))
}
