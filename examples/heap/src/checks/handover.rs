//! Blocks that are freed elsewhere: each CPU hands what it takes to the next, which looks at it and gives it back.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use support::relax;

use super::{Told, checks};
use crate::bench::{Player, Site};
use crate::block::{Block, any_kind};
use crate::check::{Checked, equal};
use crate::guest::{self, Part};
use crate::memory::{HEAP, stats};

checks! {
    blocks_are_freed_on_other_cpus_and_totals_are_exact,
    one_cpu_takes_and_all_others_free,
    blocks_change_hands_while_interrupts_do_the_same,
}

const PLACES: u32 = 32;

/// A queue of one CPU's to one other.
struct Queue {
    places: [AtomicU64; PLACES as usize],
    put: AtomicU32,
    taken: AtomicU32,
}

impl Queue {
    fn new() -> Self {
        Self {
            places: [const { AtomicU64::new(0) }; PLACES as usize],
            put: AtomicU32::new(0),
            taken: AtomicU32::new(0),
        }
    }

    /// Puts a block in, unless it is full. By one CPU only.
    fn put(&self, block: Block) -> bool {
        let put = self.put.load(Ordering::Relaxed);
        if put - self.taken.load(Ordering::Acquire) == PLACES {
            return false;
        }
        self.places[(put % PLACES) as usize].store(block.pack(), Ordering::Relaxed);
        // Release: what was written into the block and the queue comes first.
        self.put.store(put + 1, Ordering::Release);
        true
    }

    /// Takes the oldest block out, if there is one. By one CPU only.
    fn take(&self) -> Option<Block> {
        let taken = self.taken.load(Ordering::Relaxed);
        if taken == self.put.load(Ordering::Acquire) {
            return None;
        }
        let word = self.places[(taken % PLACES) as usize].load(Ordering::Relaxed);
        self.taken.store(taken + 1, Ordering::Release);
        Block::unpack(word)
    }
}

fn queues(site: &Site) -> Vec<Queue> {
    (0..site.cpus).map(|_| Queue::new()).collect()
}

/// Now and then: pages that were freed can be had again then.
fn tidy(number: u32) {
    if number.is_multiple_of(500) {
        HEAP.reclaim();
    }
}

/// How many blocks each CPU hands on.
const BLOCKS: (u32, u32) = (2500, 20_000);

fn blocks_are_freed_on_other_cpus_and_totals_are_exact(site: &Site) -> Told {
    let queues = queues(site);
    let live = stats().live_bytes;
    site.on_all(|player| hand_on(player, &queues))?;
    equal("bytes that are live, before all is drained", stats().live_bytes, live)?;
    Ok(format!("{} blocks handed on", site.cpus * site.of(BLOCKS)))
}

fn hand_on(player: &mut Player<'_>, queues: &[Queue]) -> Checked {
    let site = player.site;
    let count = site.of(BLOCKS);
    let own = &queues[player.number as usize];
    let next = &queues[((player.number + 1) % site.cpus) as usize];
    let (mut put, mut taken) = (0, 0);
    let mut waiting = None;
    while (put < count || taken < count) && !site.is_trouble() {
        if waiting.is_none() && put < count {
            waiting = Some(Block::get(any_kind(&mut player.random))?);
        }
        if let Some(block) = waiting.take() {
            if next.put(block) {
                put += 1;
                tidy(put);
            } else {
                waiting = Some(block);
            }
        }
        match own.take() {
            Some(block) => {
                block.give()?;
                taken += 1;
            }
            None => relax(),
        }
    }
    Ok(())
}

/// The magazines of one fill all the time, and those of the others empty.
fn one_cpu_takes_and_all_others_free(site: &Site) -> Told {
    let queues = queues(site);
    let live = stats().live_bytes;
    let count = site.of(BLOCKS);
    site.on_all(|player| {
        let own = &queues[player.number as usize];
        let mut left = count;
        while left > 0 && !site.is_trouble() {
            if player.number == 0 {
                let kind = any_kind(&mut player.random);
                for queue in &queues[site.cpus.min(2) as usize - 1..] {
                    let block = Block::get(kind)?;
                    while !queue.put(block) && !site.is_trouble() {
                        // With one CPU, nobody else takes them.
                        if site.cpus == 1 {
                            while let Some(block) = own.take() {
                                block.give()?;
                            }
                        }
                        relax();
                    }
                }
                left -= 1;
                tidy(left);
            } else if let Some(block) = own.take() {
                block.give()?;
                left -= 1;
            } else {
                relax();
            }
        }
        Ok(())
    })?;
    queues.iter().flat_map(|queue| core::iter::from_fn(|| queue.take())).try_for_each(Block::give)?;
    equal("bytes that are live, before all is drained", stats().live_bytes, live)?;
    Ok(format!("{count} blocks to each"))
}

fn blocks_change_hands_while_interrupts_do_the_same(site: &Site) -> Told {
    let queues = queues(site);
    guest::with(Part::Visit, || site.on_all(|player| guest::open(|| hand_on(player, &queues))))?;
    guest::clear()?;
    Ok(format!("{} blocks handed on", site.cpus * site.of(BLOCKS)))
}
