//! The pool on a shared arena: blocks of any size, and every wrong free refused and recorded.

use alloc::format;
use alloc::vec::Vec;
use core::alloc::Layout;

use kernel_arena::pool::Pool;
use kernel_arena::source::{ArenaPages, FrameMetadata};
use kernel_arena::{ArenaPtr, Misuse, PAGE_SIZE, ViolationKind};

use super::{Told, checks};
use crate::bench::{Kind, Player, Site, violations};
use crate::check::{Checked, Failure, equal, holds};
use crate::memory::{Books, FIRST_PAGE, KernelArena, Pages};

checks! {
    a_pools_wrong_frees_are_refused_and_recorded,
    a_pools_blocks_of_any_size_keep_their_contents_on_all_cpus,
    a_pool_gives_its_pages_back,
}

type ArenaPool<'a> = Pool<Pages<'a>, Books<'a>>;

/// Lets `body` have a pool on a shared arena; all must come back.
fn with_pool(site: &Site, body: impl FnOnce(&KernelArena, &ArenaPool<'_>) -> Checked) -> Checked {
    site.with_arena(Kind::Shared, 1024, |arena| {
        let pool = Pool::new(ArenaPages::new(arena), FrameMetadata::new(arena.platform()));
        let outcome = body(arena, &pool);
        let left = pool.destroy();
        outcome?;
        equal("blocks that are still out", left.live_blocks, 0)
    })
}

fn layout(size: usize, align: usize) -> Result<Layout, Failure> {
    Layout::from_size_align(size, align).map_err(|_| Failure::new("no such layout"))
}

fn refused(arena: &KernelArena, pool: &ArenaPool<'_>, at: u32, size: usize, expected: Misuse) -> Checked {
    equal(&format!("the free at {at:#x}"), pool.free(ArenaPtr::new(at).unwrap(), size), Err(expected))?;
    let found = violations(arena).map(|violation| (violation.address.value(), violation.kind));
    let address = arena.layout().base().value() + u64::from(at);
    equal("what was recorded", found.collect(), alloc::vec![(address, ViolationKind::Object(expected))])
}

fn a_pools_wrong_frees_are_refused_and_recorded(site: &Site) -> Told {
    with_pool(site, |arena, pool| {
        let (block, next) = (pool.alloc(layout(100, 8)?)?, pool.alloc(layout(100, 8)?)?);
        for outside in [8, (FIRST_PAGE << 12) - 8, (FIRST_PAGE + 1024) << 12, u32::MAX - 7] {
            refused(arena, pool, outside, 100, Misuse::Outside)?;
        }
        refused(arena, pool, (FIRST_PAGE + 1023) << 12, 100, Misuse::NoObjects)?;
        refused(arena, pool, block.offset() + 8, 100, Misuse::NotAtStart)?;
        refused(arena, pool, block.offset(), 112, Misuse::WrongSize)?;
        equal("a right free", pool.free(block, 100), Ok(()))?;
        refused(arena, pool, block.offset(), 100, Misuse::NotLive)?;
        equal("the other's free", pool.free(next, 100), Ok(()))
    })?;
    super::nothing()
}

const STEPS: (u32, u32) = (3000, 20_000);

fn a_pools_blocks_of_any_size_keep_their_contents_on_all_cpus(site: &Site) -> Told {
    with_pool(site, |arena, pool| {
        site.on_all(|player| churn(player, arena, pool))?;
        equal("bytes that are live", pool.stats().live_bytes, 0)
    })?;
    Ok(format!("{} steps on each CPU", site.of(STEPS)))
}

/// A block, its layout, and what is in it.
struct Held(ArenaPtr, Layout, u8);

fn churn(player: &mut Player<'_>, arena: &KernelArena, pool: &ArenaPool<'_>) -> Checked {
    let mut held = Vec::with_capacity(40);
    for number in 0..player.site.of(STEPS) {
        if number % 256 == 255 {
            // Pages that the pool gave back can be had again then.
            arena.reclaim();
        }
        let random = &mut player.random;
        if held.len() < 40 && random.below(3) > 0 {
            let most = if random.one_in(16) { 20_000 } else { 500 };
            let size = 1 + random.below(most) as usize;
            let layout = layout(size, 8 << random.below(4))?;
            let block = pool.alloc(layout)?;
            equal("address modulo the alignment", block.offset() as usize % layout.align(), 0)?;
            let mark = number.to_le_bytes()[0] ^ player.number.to_le_bytes()[0] << 6;
            for place in ends(size) {
                // SAFETY: the block is ours, and has so many bytes.
                unsafe { pool.to_kernel::<u8>(block.cast()).wrapping_add(place).write_volatile(mark) };
            }
            held.push(Held(block, layout, mark));
        } else if !held.is_empty() {
            give_back(pool, &held.swap_remove(random.index(held.len())))?;
        }
    }
    held.iter().try_for_each(|block| give_back(pool, block))
}

/// The places of a block that are looked at.
fn ends(size: usize) -> impl Iterator<Item = usize> {
    (0..size).filter(move |place| *place < 16 || *place + 16 >= size)
}

fn give_back(pool: &ArenaPool<'_>, Held(block, layout, mark): &Held) -> Checked {
    // SAFETY: the block is ours, and was written.
    let read = |place| unsafe { pool.to_kernel::<u8>(block.cast()).wrapping_add(place).read_volatile() };
    holds("a block keeps what was written", ends(layout.size()).all(|place| read(place) == *mark))?;
    equal("a free", pool.free(*block, layout.size()), Ok(()))
}

fn a_pool_gives_its_pages_back(site: &Site) -> Told {
    with_pool(site, |arena, pool| {
        let before = site.missing_frames();
        let mut blocks = Vec::with_capacity(2000);
        for _ in 0..2000 {
            blocks.push(pool.alloc_zeroed(layout(1000, 8)?)?);
        }
        let held = pool.stats().held_bytes;
        holds(
            "it holds what it handed out",
            held >= 2_000_000 && held == u64::from(arena.stats().claimed_pages) * PAGE_SIZE,
        )?;
        for block in blocks {
            equal("a free", pool.free(block, 1000), Ok(()))?;
        }
        pool.shrink();
        arena.reclaim();
        equal("bytes held when it has shrunk", pool.stats().held_bytes, 0)?;
        let lost = site.missing_frames() - before;
        equal("bytes of frames that stay, those of bookkeeping", lost * PAGE_SIZE, pool.stats().metadata_bytes)
    })?;
    super::nothing()
}
