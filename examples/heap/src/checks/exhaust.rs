//! Nothing left: no pages, or no frames. Then null, and afterwards all of it can be had again.

use alloc::format;
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_arena::heap::HeapError;
use kernel_arena::slab::SlabError;
use kernel_arena::{AllocError, PAGE_SIZE};
use support::{milliseconds, relax, ticks};

use super::{Told, checks};
use crate::bench::{Player, Site};
use crate::block::{Block, any_kind};
use crate::check::{Checked, Failure, equal, holds};
use crate::guest::{self, Part};
use crate::memory::{FIRST_PAGE, HEAP, HOLE, Hidden, PAGES, arena, stats};

checks! {
    when_pages_run_out_as_many_can_be_had_again,
    when_frames_run_out_as_many_can_be_had_again,
    all_cpus_take_until_there_is_nothing_and_all_comes_back,
    guests_take_what_they_can_while_there_is_nothing,
    memory_falls_after_a_peak_and_frames_come_back,
    a_run_that_is_refused_takes_nothing_and_is_there_after_a_drain,
    what_was_freed_is_handed_out_before_new_pages_are_taken,
}

/// A chain of blocks through their first words, so that it needs no other memory.
struct Chain {
    first: Option<NonNull<u8>>,
    layout: Layout,
}

impl Chain {
    /// Takes blocks until there is none; how many, and why no more.
    fn all(layout: Layout) -> (Self, u32, HeapError) {
        let mut chain = Self { first: None, layout };
        let mut count = 0;
        loop {
            match HEAP.try_alloc(layout) {
                Ok(block) => {
                    // SAFETY: the block is ours, aligned, and a word fits.
                    unsafe { block.cast::<Option<NonNull<u8>>>().write(chain.first) };
                    chain.first = Some(block);
                    count += 1;
                }
                Err(error) => return (chain, count, error),
            }
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        while let Some(block) = self.first {
            // SAFETY: the block is ours, and was written when it was taken.
            self.first = unsafe { block.cast::<Option<NonNull<u8>>>().read() };
            // SAFETY: it came from this heap with this layout.
            unsafe { HEAP.free(block, self.layout) };
        }
    }
}

fn layout(size: usize) -> Result<Layout, Failure> {
    Layout::from_size_align(size, 8).map_err(|_| Failure::new("no such layout"))
}

/// As many again, three times over, of several sizes, pages of slabs and of runs.
fn as_many_again(site: &Site, is_right: fn(HeapError) -> bool) -> Told {
    let mut counts = [0; 4];
    for (size, counted) in [512, 4096, 24_000, 50_000].into_iter().zip(&mut counts) {
        let layout = layout(size)?;
        let before = stats().held_bytes;
        // The first turn makes the bookkeeping for so much, which stays.
        for turn in 0..4 {
            let (chain, count, error) = Chain::all(layout);
            let null = HEAP.try_alloc(layout).is_err();
            drop(chain);
            site.drain_all()?;
            equal("bytes held afterwards", stats().held_bytes, before)?;
            if !is_right(error) || !null {
                return Err(Failure::new(format!("null, but for the wrong reason: {error}")));
            }
            if turn == 1 {
                *counted = count;
            }
            equal("blocks in each turn", count, if turn == 0 { count } else { *counted })?;
        }
    }
    Ok(format!("{counts:?} blocks of 512, 4096, 24 000 and 50 000 bytes"))
}

fn when_pages_run_out_as_many_can_be_had_again(site: &Site) -> Told {
    as_many_again(site, |error| {
        matches!(
            error,
            HeapError::Slab(SlabError::Pages(AllocError::NoSpace(_))) | HeapError::Pages(AllocError::NoSpace(_))
        )
    })
}

fn when_frames_run_out_as_many_can_be_had_again(site: &Site) -> Told {
    let _hidden = Hidden::all_but(site.frames(), 800);
    as_many_again(site, |error| {
        matches!(
            error,
            HeapError::Slab(SlabError::Pages(AllocError::OutOfFrames) | SlabError::OutOfMetadata)
                | HeapError::Pages(AllocError::OutOfFrames)
        )
    })
}

/// How often each CPU hears that there is nothing left before it gives everything back.
const REFUSALS: u32 = 4;
const ROUNDS: (u32, u32) = (2, 12);
/// More blocks than that no CPU takes.
const MOST: usize = 16_000;

fn all_cpus_take_until_there_is_nothing_and_all_comes_back(site: &Site) -> Told {
    let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    for _ in 0..site.of(ROUNDS) {
        let held: Vec<spin::Mutex<Vec<Block>>> =
            (0..site.cpus).map(|_| spin::Mutex::new(Vec::with_capacity(MOST))).collect();
        site.on_all(|player| {
            let mut own = held[player.number as usize].try_lock().ok_or_else(|| Failure::new("not one's own"))?;
            let outcome = take_all(player, &mut own, &refused);
            taken.fetch_add(own.len() as u64, Ordering::Relaxed);
            drop(own);
            player.meet();
            outcome?;
            // Another CPU's.
            let next = &held[((player.number + 1) % site.cpus) as usize];
            let mut next = next.try_lock().ok_or_else(|| Failure::new("not its alone"))?;
            next.drain(..).try_for_each(Block::give)?;
            Ok(())
        })?;
        drop(held);
        site.drain_all()?;
    }
    let (taken, refused) = (taken.into_inner(), refused.into_inner());
    holds("there was nothing left", refused >= u64::from(REFUSALS))?;
    Ok(format!("{} rounds, {taken} blocks taken, {refused} times null", site.of(ROUNDS)))
}

fn take_all(player: &mut Player<'_>, held: &mut Vec<Block>, refused: &AtomicU64) -> Checked {
    let mut refusals = 0;
    while refusals < REFUSALS && held.len() < MOST {
        // Small ones in the end, so that it is really nothing.
        let kind = if refusals == 0 { 32 + any_kind(&mut player.random) % 16 } else { 16 };
        match Block::take(kind)? {
            Some(block) => held.push(block),
            None => {
                refused.fetch_add(1, Ordering::Relaxed);
                refusals += 1;
            }
        }
    }
    held.iter().try_for_each(|block| block.check())?;
    Ok(())
}

/// Guests that come then are given null, too, or what is left in a magazine.
fn guests_take_what_they_can_while_there_is_nothing(site: &Site) -> Told {
    let before = guest::Visits::so_far();
    let refused = AtomicU64::new(0);
    for _ in 0..site.of(ROUNDS) {
        let held: Vec<spin::Mutex<Vec<Block>>> =
            (0..site.cpus).map(|_| spin::Mutex::new(Vec::with_capacity(MOST))).collect();
        guest::with(Part::Scarce, || {
            site.on_all(|player| {
                let mut own = held[player.number as usize].try_lock().ok_or_else(|| Failure::new("not one's own"))?;
                guest::open(|| {
                    take_all(player, &mut own, &refused)?;
                    let (came, start) = (guest::Visits::so_far(), ticks());
                    while guest::Visits::so_far().since(came).by_level[1] < 10
                        && milliseconds(ticks().wrapping_sub(start)) < 500
                    {
                        own.iter().take(16).try_for_each(|block| block.check())?;
                        relax();
                    }
                    // In the midst of guests who have little.
                    own.drain(..).try_for_each(Block::give)?;
                    Ok(())
                })
            })
        })?;
        guest::clear()?;
        drop(held);
        site.drain_all()?;
    }
    let came = guest::Visits::so_far().since(before);
    holds("guests came, and some were given null", came.by_level[1] > 0 && came.refused > 0)?;
    Ok(format!("guests by level {:?}, {} times null", &came.by_level[1..], came.refused))
}

fn memory_falls_after_a_peak_and_frames_come_back(site: &Site) -> Told {
    let (before, free) = (stats(), site.frames().free_count());
    let mut blocks = Vec::new();
    let mut random = support::Random::new(5);
    for _ in 0..4000 {
        blocks.push(Block::get(any_kind(&mut random))?);
    }
    let peak = stats();
    let risen = peak.held_bytes - before.held_bytes;
    holds("memory rises", risen > 4 << 20)?;
    let taken = (free - site.frames().free_count()) as u64 * PAGE_SIZE;
    let books = peak.slab.metadata_bytes - before.slab.metadata_bytes;
    equal("bytes of frames that this took", taken, risen + books)?;
    blocks.drain(..).try_for_each(Block::give)?;
    drop(blocks);
    let kept = stats().held_bytes;
    site.drain_all()?;
    let fallen = stats();
    equal("bytes held after all is reclaimed", fallen.held_bytes, before.held_bytes)?;
    holds("the peak is remembered", fallen.slab.peak_held_bytes >= peak.held_bytes)?;
    let lost = (free - site.frames().free_count()) as u64 * PAGE_SIZE;
    equal(
        "bytes of frames that do not come back, those of bookkeeping",
        lost,
        fallen.slab.metadata_bytes - before.slab.metadata_bytes,
    )?;
    holds("which are few", lost <= risen / 20)?;
    let [before, peak] = [before, peak].map(|stats| stats.held_bytes);
    Ok(format!(
        "{before} bytes held, {peak} at the peak, {kept} when all was freed, {} in the end, {lost} of bookkeeping more",
        fallen.held_bytes
    ))
}

/// Objects that wait in the depot and in the magazines keep their pages. A run that wants those is refused, and the refusal
/// takes nothing from others, since the arena frees deferred: after a drain and the arena's own reclaim the run is there.
fn a_run_that_is_refused_takes_nothing_and_is_there_after_a_drain(site: &Site) -> Told {
    let behind_hole = FIRST_PAGE + PAGES - HOLE.first().number() - HOLE.count().get();
    let (small, large) = (layout(256)?, layout((behind_hole as usize) << 12)?);
    let (chain, count, _) = Chain::all(small);
    drop(chain);
    arena().reclaim();
    let kept = stats().held_bytes;
    let first = HEAP.try_alloc(large);
    arena().reclaim();
    let second = HEAP.try_alloc(large);
    let after = stats().held_bytes;
    site.drain_all()?;
    let third = HEAP.try_alloc(large);
    for block in [first, second, third].into_iter().flatten() {
        // SAFETY: it came from this heap with this layout.
        unsafe { HEAP.free(block, large) };
    }
    holds("something was kept, and both tries refused", kept > 0 && first.is_err() && second.is_err())?;
    equal("bytes kept after the refusals", after, kept)?;
    holds("after the drain the run has all pages behind the hole", third.is_ok())?;
    Ok(format!("{count} blocks of 256 bytes, {kept} bytes kept of them, a run of {behind_hole} pages"))
}

/// Every second object of many slabs goes back, so that none of them is empty, and as many are taken again.
fn what_was_freed_is_handed_out_before_new_pages_are_taken(_: &Site) -> Told {
    const MANY: usize = 12_000;
    let small = layout(256)?;
    let mut blocks = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        blocks.push(HEAP.try_alloc(small)?);
    }
    let held = stats().held_bytes;
    for block in blocks.iter().skip(1).step_by(2) {
        // SAFETY: it came from this heap with this layout.
        unsafe { HEAP.free(*block, small) };
    }
    let kept = stats().held_bytes;
    for block in blocks.iter_mut().skip(1).step_by(2) {
        *block = HEAP.try_alloc(small)?;
    }
    let again = stats().held_bytes;
    for block in blocks {
        // SAFETY: as above.
        unsafe { HEAP.free(block, small) };
    }
    equal("bytes held when half of them are free, and when they are taken again", (kept, again), (held, held))?;
    Ok(format!("{} of {MANY} taken again from {held} bytes", MANY / 2))
}
