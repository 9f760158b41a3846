//! Blocks of every sort: sizes of every class and beyond, alignments, zeroed, resized.

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};

use kernel_arena::heap::HeapError;
use kernel_arena::slab::{LARGEST, SizeClass};

use super::{Told, checks, nothing};
use crate::bench::Site;
use crate::block::{Block, LAYOUTS};
use crate::check::{Checked, Failure, equal, holds};
use crate::memory::{HEAP, stats};

checks! {
    blocks_of_every_sort_keep_what_is_written,
    every_class_serves_its_sizes_and_nothing_is_counted_twice,
    alignments_up_to_two_mebibytes_are_kept,
    zeroed_blocks_are_zero_even_where_others_were,
    blocks_that_are_resized_keep_their_contents,
    a_run_grows_where_it_is_if_it_can,
    what_cannot_be_is_refused,
}

fn kinds() -> impl Iterator<Item = u8> {
    (0u8..).take(LAYOUTS.len())
}

/// All at once, four of each, given back in another order.
fn blocks_of_every_sort_keep_what_is_written(_: &Site) -> Told {
    let mut blocks = Vec::new();
    for kind in kinds().chain(kinds()).chain(kinds()).chain(kinds()) {
        blocks.push(Block::get(kind)?);
    }
    for block in &blocks {
        block.check()?;
    }
    let (even, odd): (Vec<_>, Vec<_>) = blocks.into_iter().enumerate().partition(|(number, _)| number % 2 == 0);
    for (_, block) in even.into_iter().chain(odd) {
        block.give()?;
    }
    nothing()
}

fn every_class_serves_its_sizes_and_nothing_is_counted_twice(_: &Site) -> Told {
    let mut smallest = 1;
    for class in SizeClass::all() {
        for size in [smallest, class.size()] {
            let layout = layout(size, 1)?;
            let before = stats().live_bytes;
            let block = HEAP.try_alloc(layout)?;
            equal("bytes that are live", stats().live_bytes - before, class.size() as u64)?;
            equal("alignment", block.addr().get() % class.align(), 0)?;
            // SAFETY: it came from there with that layout.
            unsafe { HEAP.free(block, layout) };
            equal("bytes that are live afterwards", stats().live_bytes, before)?;
        }
        smallest = class.size() + 1;
    }
    equal("the largest class", smallest, LARGEST + 1)?;
    for (size, bytes) in [(LARGEST + 1, 9 << 12), (1 << 20, 1 << 20), ((1 << 20) + 1, (1 << 20) + 4096)] {
        let layout = layout(size, 8)?;
        let (before, runs) = (stats().live_bytes, stats().run_bytes);
        let block = HEAP.try_alloc(layout)?;
        let (live, run) = (stats().live_bytes - before, stats().run_bytes - runs);
        // SAFETY: it came from there with that layout.
        unsafe { HEAP.free(block, layout) };
        equal("bytes of a run, live and held", (live, run), (bytes, bytes))?;
        equal("bytes that are live afterwards", stats().live_bytes, before)?;
    }
    nothing()
}

fn layout(size: usize, align: usize) -> Result<Layout, Failure> {
    Layout::from_size_align(size, align).map_err(|_| Failure::new("no such layout"))
}

fn alignments_up_to_two_mebibytes_are_kept(_: &Site) -> Told {
    for shift in 0..=21 {
        for size in [1, 24, 100, 4096, 10_000, 40_000] {
            let layout = layout(size, 1 << shift)?;
            let first = HEAP.try_alloc(layout)?;
            let second = HEAP.try_alloc(layout)?;
            let rest = (first.addr().get() | second.addr().get()) & (layout.align() - 1);
            for block in [first, second] {
                // SAFETY: it came from there with that layout.
                unsafe { HEAP.free(block, layout) };
            }
            equal("address modulo the alignment", rest, 0)?;
            holds("two blocks are two", first != second)?;
            // What was freed can be had again then.
            HEAP.reclaim();
        }
    }
    nothing()
}

fn zeroed_blocks_are_zero_even_where_others_were(_: &Site) -> Told {
    for _ in 0..4 {
        for kind in kinds() {
            let (dirty, other) = (Block::get(kind)?, Block::get(kind)?);
            dirty.give()?;
            let zeroed = Block::take_zeroed(kind)?.ok_or(crate::check::Wrong::NoMemory)?;
            other.give()?;
            zeroed.give()?;
        }
    }
    nothing()
}

fn blocks_that_are_resized_keep_their_contents(_: &Site) -> Told {
    for from in kinds() {
        let mut block = Block::get(from)?;
        for to in kinds() {
            block = block.resize(to)?;
        }
        block.resize(from)?.give()?;
    }
    nothing()
}

fn a_run_grows_where_it_is_if_it_can(_: &Site) -> Told {
    let small = layout(64 << 10, 8)?;
    let block = HEAP.try_alloc(small)?.as_ptr();
    let before = stats().run_bytes;
    // SAFETY: it came from there with that layout; what follows holds for each of these.
    let grown = unsafe { HEAP.realloc(block, small, 256 << 10) };
    equal("where it is", grown, block)?;
    equal("bytes more", stats().run_bytes - before, 192 << 10)?;
    let large = layout(256 << 10, 8)?;
    // SAFETY: as above.
    let shrunk = unsafe { HEAP.realloc(grown, large, 40 << 10) };
    equal("where it is", shrunk, block)?;
    equal("bytes fewer", before - stats().run_bytes, 24 << 10)?;
    // SAFETY: as above.
    unsafe { HEAP.dealloc(shrunk, layout(40 << 10, 8)?) };
    within_a_class()?;
    nothing()
}

fn within_a_class() -> Checked {
    let (small, large) = (layout(1030, 8)?, layout(1280, 8)?);
    let block = HEAP.try_alloc(small)?.as_ptr();
    // SAFETY: it came from there with that layout.
    let same = unsafe { HEAP.realloc(block, small, large.size()) };
    // SAFETY: as above.
    unsafe { HEAP.dealloc(same, large) };
    equal("where an object is that its class has room for", same, block)
}

fn what_cannot_be_is_refused(_: &Site) -> Told {
    let before = stats();
    let more = layout(1 << 32, 8)?;
    let much = layout(1 << 45, 8)?;
    let far = layout(8, 1 << 33)?;
    holds("4 GiB are too much", matches!(HEAP.try_alloc(more), Err(HeapError::Pages(_) | HeapError::TooLarge)))?;
    equal("32 TiB", HEAP.try_alloc(much), Err(HeapError::TooLarge))?;
    holds("an alignment of 8 GiB", HEAP.try_alloc(far).is_err())?;
    equal("bytes held", stats().run_bytes, before.run_bytes)?;
    nothing()
}
