//! Random operations, judged by a plain map of blocks and pages that knows nothing of bits.

use std::collections::{BTreeMap, BTreeSet};

use kernel_arena::pool::Pool;
use kernel_arena::{ArenaPtr, Misuse};
use proptest::prelude::*;

use super::heap::Heap;
use super::land::{Lent, Traffic};
use super::{Bed, OnRegion, PAGE, PAGE_STEP, aligned, close, granules, is_back, is_exhausted};

/// Few enough that they run out.
const LIMIT: u32 = 40;

#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    Alloc {
        size: usize,
        align: usize,
    },
    /// Frees one of the live blocks, by a number that is reduced to how many there are.
    Free(usize),
    /// Frees what may or may not be a block: near a live one, or anywhere.
    Near {
        block: usize,
        by: i32,
        size_by: isize,
    },
    Wild {
        at: u32,
        size: usize,
    },
    Shrink,
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 1usize..300, 2 => 300usize..4200, 1 => 4200usize..30_000]
}

fn task() -> impl Strategy<Value = Task> {
    let align = prop_oneof![3 => Just(8usize), 1 => (0u32..=12).prop_map(|bits| 1 << bits)];
    let by = prop_oneof![2 => Just(0), 2 => (-40i32..40).prop_map(|granules| granules * 8), 1 => -5000i32..5000];
    let size_by = prop_oneof![2 => Just(0isize), 2 => -16isize..16, 1 => -5000isize..5000];
    prop_oneof![
        8 => (size(), align).prop_map(|(size, align)| Task::Alloc { size, align }),
        6 => any::<usize>().prop_map(Task::Free),
        3 => (any::<usize>(), by, size_by).prop_map(|(block, by, size_by)| Task::Near { block, by, size_by }),
        1 => (0u32..(70 << 12), size()).prop_map(|(at, size)| Task::Wild { at, size }),
        1 => Just(Task::Shrink),
    ]
}

/// What there ought to be.
#[derive(Default)]
struct World {
    /// Size by offset.
    blocks: BTreeMap<u32, usize>,
    /// Pages that the pool has.
    pages: BTreeSet<u32>,
}

impl World {
    fn end(at: u32, size: usize) -> u32 {
        at + u32::try_from(granules(size)).unwrap()
    }

    /// The block that a byte is part of.
    fn block_at(&self, at: u32) -> Option<(u32, usize)> {
        let (start, size) = self.blocks.range(..=at).next_back()?;
        (at < Self::end(*start, *size)).then_some((*start, *size))
    }

    /// What becomes of a free.
    fn judge(&self, at: u32, size: usize) -> Result<(), Misuse> {
        let page = at >> 12;
        if !(1..=super::PAGES).contains(&page) {
            return Err(Misuse::Outside);
        }
        if !self.pages.contains(&page) {
            return Err(Misuse::NoObjects);
        }
        match self.block_at(at) {
            _ if at % 8 != 0 => Err(Misuse::NotAtStart),
            None => Err(Misuse::NotLive),
            Some((start, _)) if start != at => Err(Misuse::NotAtStart),
            Some((_, whole)) if size == 0 || granules(whole) != granules(size) => Err(Misuse::WrongSize),
            Some(_) => Ok(()),
        }
    }

    /// The lowest place for a block in the pages that are there.
    fn lowest(&self, size: usize, align: usize) -> Option<u32> {
        let align = u32::try_from(align.max(8)).unwrap();
        let length = u32::try_from(granules(size)).unwrap();
        let mut at = *self.pages.first()? << 12;
        loop {
            at = at.next_multiple_of(align);
            if at >> 12 > *self.pages.last()? {
                return None;
            }
            if let Some(missing) = (at >> 12..=(at + length - 1) >> 12).find(|page| !self.pages.contains(page)) {
                at = (missing + 1) << 12;
            } else if let Some((start, size)) = (at..at + length).step_by(8).find_map(|byte| self.block_at(byte)) {
                at = Self::end(start, size);
            } else {
                return Some(at);
            }
        }
    }

    fn heed(&mut self, traffic: Vec<Traffic>) {
        for one in traffic {
            match one {
                Traffic::Out(first, count) => {
                    (first..first + count).for_each(|page| assert!(self.pages.insert(page), "{page} came twice"))
                }
                Traffic::Back(first, count) => {
                    (first..first + count).for_each(|page| assert!(self.pages.remove(&page), "{page} was not there"))
                }
            }
        }
        // A block lies on pages that are there.
        for (at, size) in &self.blocks {
            let pages = at >> 12..=(Self::end(*at, *size) - 1) >> 12;
            assert!(pages.clone().all(|page| self.pages.contains(&page)), "{pages:?} of {at:#x}");
        }
    }
}

struct Run<'a> {
    bed: &'a OnRegion,
    pool: Pool<Lent<'a>, &'a Heap>,
    world: World,
}

impl Run<'_> {
    fn words(at: u32, size: usize) -> impl Iterator<Item = (ArenaPtr, u64)> {
        (at..World::end(at, size))
            .step_by(8)
            .map(move |word| (ArenaPtr::new(word).unwrap(), u64::from(word) << 20 ^ size as u64))
    }

    fn alloc(&mut self, size: usize, align: usize) {
        let expected = self.world.lowest(size, align);
        let result = self.pool.alloc(aligned(size, align));
        self.world.heed(self.bed.land.take_traffic());
        match (result, expected) {
            (Ok(at), Some(expected)) => assert_eq!(at.offset(), expected, "lowest fit"),
            // New pages, where the block begins.
            (Ok(at), None) => assert_eq!(at.offset() % PAGE_STEP, 0),
            (Err(error), expected) => {
                assert!(expected.is_none() && is_exhausted(error), "{error:?}, room at {expected:?}");
                return;
            }
        }
        let at = result.unwrap().offset();
        assert_eq!(at as usize % align, 0);
        let overlap = (at..World::end(at, size)).step_by(8).find_map(|byte| self.world.block_at(byte));
        assert_eq!(overlap, None, "{size} bytes at {at:#x}");
        self.world.blocks.insert(at, size);
        Self::words(at, size).for_each(|(word, value)| self.bed.store(word, value));
    }

    fn free(&mut self, at: u32, size: usize) {
        let expected = self.world.judge(at, size);
        let before = self.pool.stats();
        assert_eq!(self.pool.free(ArenaPtr::new(at).unwrap(), size), expected, "{size} bytes at {at:#x}");
        match expected {
            Ok(()) => {
                let size = self.world.blocks.remove(&at).unwrap();
                assert!(Self::words(at, size).all(|(word, value)| self.bed.load(word) == value), "contents changed");
            }
            Err(misuse) => {
                assert_eq!(self.bed.recorded(), Some((ArenaPtr::new(at).unwrap(), misuse)));
                assert_eq!(self.pool.stats(), before);
            }
        }
        self.world.heed(self.bed.land.take_traffic());
    }

    fn nth(&self, number: usize) -> Option<(u32, usize)> {
        let blocks = &self.world.blocks;
        blocks.iter().nth(number % blocks.len().max(1)).map(|(at, size)| (*at, *size))
    }

    fn step(&mut self, task: Task) {
        match task {
            Task::Alloc { size, align } => self.alloc(size, align),
            Task::Free(number) => {
                if let Some((at, size)) = self.nth(number) {
                    self.free(at, size);
                }
            }
            Task::Near { block, by, size_by } => {
                if let Some((at, size)) = self.nth(block) {
                    self.free(at.saturating_add_signed(by).max(1), size.saturating_add_signed(size_by));
                }
            }
            Task::Wild { at, size } => self.free(at.max(1), size),
            Task::Shrink => {
                self.pool.shrink();
                self.world.heed(self.bed.land.take_traffic());
            }
        }
        let stats = self.pool.stats();
        let live: u64 = self.world.blocks.values().map(|size| granules(*size)).sum();
        assert_eq!((stats.live_blocks, stats.live_bytes), (self.world.blocks.len() as u64, live));
        assert_eq!(stats.held_bytes, self.world.pages.len() as u64 * PAGE as u64);
        assert_eq!(stats.free_bytes, stats.held_bytes - live);
    }
}

pub(super) fn play(tasks: &[Task]) {
    let bed = OnRegion::default();
    bed.land.limit(LIMIT);
    let mut run = Run { bed: &bed, pool: bed.pool(), world: World::default() };
    tasks.iter().for_each(|task| run.step(*task));
    for (at, size) in &run.world.blocks {
        assert!(Run::words(*at, *size).all(|(word, value)| bed.load(word) == value), "contents of {at:#x}");
    }
    let live = run.world.blocks.values().map(|size| granules(*size)).sum();
    close(run.pool, run.world.blocks.len() as u64, live);
    is_back(&bed);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]
    #[test]
    fn operations_go_as_the_map_says(tasks in proptest::collection::vec(task(), 1..120)) {
        play(&tasks);
    }
}
