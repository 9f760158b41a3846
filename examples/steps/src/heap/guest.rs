//! Who comes between an operation of the heap, and uses the same heap and its arena.

use core::cell::Cell;

use support::exceptions_taken;

use super::place::{Block, Place};
use crate::check::{Checked, Failure};
use crate::site::page;

type Found<T> = Result<T, &'static str>;

/// Blocks that guests take besides those of the operation's own size.
const SIZES: [usize; 5] = [24, 64, 512, 2000, 9000];
/// Larger than any object.
const RUN: usize = 33_000;
/// The pages for wild accesses: above those that blocks come from.
const FIRST_WILD: u32 = 2200;
const WILD_PAGES: u32 = 1800;
/// Far from the extent.
const FIRST_REGION: u64 = 700;

/// A guest that comes again and again.
pub(super) struct Guest<'a, 'b> {
    place: &'a Place<'b>,
    size: usize,
    /// What it keeps until the next visit.
    kept: Cell<Option<Block>>,
    wild: Cell<u32>,
}

impl<'a, 'b> Guest<'a, 'b> {
    pub(super) const fn new(place: &'a Place<'b>, size: usize) -> Self {
        Self { place, size, kept: Cell::new(None), wild: Cell::new(0) }
    }

    /// Uses the heap and the arena.
    pub(super) fn visit(&self, visit: u64) -> Found<()> {
        let own = self.take(self.size)?;
        self.access(visit)?;
        let other = self.take(SIZES[(visit % 5) as usize])?;
        if let Some(kept) = self.kept.replace(Some(other)) {
            self.give(kept)?;
        }
        if visit % 6 == 5 {
            let run = self.take(RUN)?;
            self.give(run)?;
        }
        if visit % 4 == 3 {
            // What it retires may be what the operation has just seen.
            self.place.heap.drain();
        }
        if visit % 8 == 1 {
            let (heap, arena) = (self.place.stats(), self.place.site.arena.stats());
            let held = heap.held_bytes / kernel_arena::PAGE_SIZE;
            if u64::from(arena.claimed_pages) < held {
                return Err("the heap holds pages that are not claimed");
            }
        }
        self.give(own)
    }

    /// Gives back what it has kept, when it comes no more.
    pub(super) fn leave(&self) -> Checked {
        self.kept.take().map_or(Ok(()), |kept| self.give(kept)).map_err(Failure::new)
    }

    fn take(&self, size: usize) -> Found<Block> {
        Ok(self.place.alloc(size).ok_or("there is memory, but a block is not to be had")?.filled(self.place))
    }

    fn give(&self, block: Block) -> Found<()> {
        if !block.holds(self.place, block.size()) {
            return Err("a block does not hold what was written");
        }
        self.place.free(block);
        Ok(())
    }

    /// A wild access, which is a fault, and recovered: to a page of the extent that no block comes from, or far away.
    fn access(&self, visit: u64) -> Found<()> {
        let number = self.wild.replace(self.wild.get() + 1);
        if number >= WILD_PAGES {
            return Ok(());
        }
        let before = exceptions_taken();
        let site = &self.place.site;
        let done = match visit % 7 {
            6 => site.write((FIRST_REGION + u64::from(number)) * (2 << 20), 0xbad),
            _ => site.read(page(FIRST_WILD + number)).is_some(),
        };
        if done && exceptions_taken() - before == 1 {
            Ok(())
        } else {
            Err("a wild access was not one fault, recovered")
        }
    }
}
