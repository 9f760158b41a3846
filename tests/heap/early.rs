//! A heap with an early region: before it is started, after, and across.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use kernel_arena::heap::{EarlyHeap, Heap, HeapError};
use kernel_arena::slab::{Mode, SlabError};
use kernel_arena::source::{MetadataPage, MetadataSource, Region, StaticMetadata, region_words};

use crate::machine::Random;
use crate::slab::cpus::{Cpus, on};
use crate::slab::lab::{Lab, Metadata, Pages};

/// Bytes of the region.
const BYTES: usize = 4096;

type TestHeap = EarlyHeap<Heap<Pages, Metadata>, BYTES>;

/// A block, filled with a byte.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

// SAFETY: whoever has it has the block alone.
unsafe impl Send for Block {}

impl Block {
    fn new(heap: &TestHeap, layout: Layout, mark: u8) -> Option<Self> {
        // SAFETY: no test asks for 0 bytes.
        let start = NonNull::new(unsafe { heap.alloc(layout) })?;
        assert_eq!(start.addr().get() % layout.align(), 0, "{layout:?}");
        let block = Self { start, layout, mark };
        block.fill(0);
        Some(block)
    }

    fn zeroed(heap: &TestHeap, layout: Layout, mark: u8) -> Option<Self> {
        // SAFETY: no test asks for 0 bytes.
        let start = NonNull::new(unsafe { heap.alloc_zeroed(layout) })?;
        Self { start, layout, mark: 0 }.check(layout.size());
        let block = Self { start, layout, mark };
        block.fill(0);
        Some(block)
    }

    /// Writes the mark, from a byte on.
    fn fill(&self, from: usize) {
        for byte in from..self.layout.size() {
            // SAFETY: the block is ours, and so large.
            unsafe { self.start.as_ptr().wrapping_add(byte).write(self.mark) };
        }
    }

    /// Nobody else has written to the first bytes.
    fn check(&self, bytes: usize) {
        // SAFETY: the block is ours, so large, and was written.
        let holds = (0..bytes).all(|byte| unsafe { self.start.as_ptr().wrapping_add(byte).read() } == self.mark);
        assert!(holds, "{self:?} was written to");
    }

    /// Where it has so many bytes; the block as it was, if there is no room.
    fn resized(mut self, heap: &TestHeap, size: usize) -> Self {
        self.check(self.layout.size());
        // SAFETY: the block is ours, and neither size is 0.
        let moved = unsafe { heap.realloc(self.start.as_ptr(), self.layout, size) };
        if let Some(start) = NonNull::new(moved) {
            let was = self.layout.size();
            self = Self { start, layout: layout(size, self.layout.align()), ..self };
            self.check(was.min(size));
            self.fill(was.min(size));
        }
        self
    }

    fn free(self, heap: &TestHeap) {
        self.check(self.layout.size());
        // SAFETY: it came from there with this layout.
        unsafe { heap.free(self.start, self.layout) };
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn block(heap: &TestHeap, size: usize, mark: u8) -> Block {
    Block::new(heap, layout(size, 8), mark).expect("there is room")
}

/// It must not move: blocks lie in it.
fn heap() -> Box<TestHeap> {
    Box::new(TestHeap::new())
}

fn start(heap: &TestHeap, pages: usize) -> Arc<Lab> {
    let lab = Lab::new(pages);
    heap.init(Pages(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), Mode::Fast).unwrap();
    lab
}

fn used(heap: &TestHeap) -> (u32, u32) {
    let stats = heap.early_stats();
    (stats.used_bytes, stats.live_blocks)
}

#[test]
fn the_region_serves_every_size_and_alignment_until_it_is_full() {
    let heap = heap();
    for align in (0..13).map(|shift| 1 << shift) {
        let blocks: Vec<_> = (1..=u8::MAX).map_while(|mark| Block::new(&heap, layout(33, align), mark)).collect();
        // 33 bytes are 48, and the region may begin anywhere below a multiple of the alignment.
        let expected = BYTES / 48_usize.next_multiple_of(align);
        assert!(blocks.len().abs_diff(expected) <= 1, "{} at {align}", blocks.len());
        assert_eq!(heap.early_stats().live_blocks as usize, blocks.len());
        blocks.into_iter().for_each(|block| block.free(&heap));
        assert_eq!(used(&heap), (0, 0), "nothing is out, so nothing is used");
    }
    let all = block(&heap, BYTES, 1);
    assert!(Block::new(&heap, layout(1, 1), 2).is_none());
    assert_eq!(heap.early_stats().peak_bytes as usize, BYTES);
    all.free(&heap);
}

#[test]
fn what_the_region_cannot_serve_is_refused_and_changes_nothing() {
    let heap = heap();
    let first = block(&heap, 10, 1);
    let before = heap.early_stats();
    let huge = isize::MAX as usize;
    for (size, align) in [(BYTES, 1), (BYTES + 1, 8), (huge, 1), (1, 1 << 62), (huge - (1 << 40), 1 << 40)] {
        assert_eq!(Block::new(&heap, layout(size, align), 2), None);
        assert_eq!(heap.try_alloc(layout(size, align)), Err(HeapError::NotInitialised));
    }
    // SAFETY: a block of this heap; it stays as it is.
    assert!(unsafe { heap.realloc(first.start.as_ptr(), first.layout, huge) }.is_null());
    // SAFETY: as above.
    assert!(unsafe { heap.realloc(first.start.as_ptr(), first.layout, usize::MAX) }.is_null());
    assert_eq!(heap.try_alloc(layout(0, 8)), Err(HeapError::Slab(SlabError::ZeroSize)));
    assert_eq!(heap.early_stats(), before);
    first.free(&heap);
}

#[test]
fn the_last_block_is_given_back_and_the_others_when_none_is_out() {
    let heap = heap();
    let [first, second, third] = [1, 2, 3].map(|mark| block(&heap, 100, mark));
    assert_eq!(used(&heap), (336, 3), "rounded up to 16 bytes");
    third.free(&heap);
    assert_eq!(used(&heap), (224, 2));
    first.free(&heap);
    assert_eq!(used(&heap), (224, 1), "kept, and counted");
    second.free(&heap);
    assert_eq!(used(&heap), (0, 0));
    assert_eq!(heap.early_stats().peak_bytes, 336);
}

#[test]
fn the_last_block_grows_and_shrinks_where_it_is() {
    let heap = heap();
    let (first, last) = (block(&heap, 100, 1), block(&heap, 100, 2));
    let (at, of_first) = (last.start, first.start);
    let last = last.resized(&heap, 1000);
    assert_eq!((last.start, used(&heap)), (at, (112 + 1008, 2)));
    let last = last.resized(&heap, 20);
    assert_eq!((last.start, used(&heap)), (at, (112 + 32, 2)));
    let first = first.resized(&heap, 112);
    assert_eq!((first.start, used(&heap)), (of_first, (112 + 32, 2)), "its bytes were rounded up");
    let first = first.resized(&heap, 50);
    assert_eq!(first.start, of_first, "less is always there");
    let first = first.resized(&heap, 200);
    assert_eq!(used(&heap), (112 + 32 + 208, 2), "another moves to the end");
    last.free(&heap);
    first.free(&heap);
    assert_eq!(used(&heap), (0, 0));
}

/// Its end may be where the used bytes end only if it is the last.
#[test]
fn a_block_that_shrank_and_then_is_freed_takes_nothing_of_its_neighbours() {
    let heap = heap();
    let [first, second] = [1, 2].map(|mark| block(&heap, 64, mark));
    let first = first.resized(&heap, 16);
    first.free(&heap);
    let third = block(&heap, 64, 3);
    second.free(&heap);
    third.free(&heap);
    assert_eq!(used(&heap), (0, 0));
}

#[test]
fn zeroed_memory_is_zero_though_it_was_used() {
    let heap = heap();
    block(&heap, BYTES, 7).free(&heap);
    let early = Block::zeroed(&heap, layout(BYTES, 1), 8).unwrap();
    start(&heap, 64);
    let late = Block::zeroed(&heap, layout(BYTES, 1), 9).unwrap();
    early.free(&heap);
    late.free(&heap);
    assert_eq!((used(&heap), heap.stats().unwrap().live_bytes), ((0, 0), 0));
}

#[test]
fn after_the_start_the_heap_serves_and_early_blocks_go_back_where_they_came_from() {
    let heap = heap();
    let [first, second, third] = [1, 2, 3].map(|mark| block(&heap, 200, mark));
    let lab = start(&heap, 64);
    let live = || heap.stats().unwrap().live_bytes;
    first.free(&heap);
    assert_eq!((live(), lab.pages_out(), used(&heap).1), (0, 0, 2), "the heap hears nothing of it");
    let (at, second) = (second.start, second.resized(&heap, 100));
    assert_eq!((second.start, live()), (at, 0), "less is there still");
    let second = second.resized(&heap, 1000);
    assert!(second.start != at && live() >= 1000 && used(&heap).1 == 1, "more is in the heap");
    let late = block(&heap, 200, 4);
    assert_eq!(used(&heap).1, 1, "what comes now is the heap's");
    let late = late.resized(&heap, 60_000);
    [second, third, late].into_iter().for_each(|block| block.free(&heap));
    assert_eq!((live(), used(&heap)), (0, (0, 0)));
}

#[test]
fn a_full_heap_does_not_fall_back_on_the_region() {
    let heap = heap();
    start(&heap, 4);
    assert_eq!(Block::new(&heap, layout(5 << 12, 8), 1), None);
    assert_eq!(heap.early_stats().peak_bytes, 0);
    // An early block that finds no room in the heap stays as it was.
    let full = self::heap();
    let early = block(&full, BYTES, 2);
    start(&full, 1);
    let same = early.resized(&full, 2 * BYTES);
    assert_eq!(same.layout.size(), BYTES);
    same.free(&full);
}

/// What a heap is lent may want to allocate while it is being started: the early region serves.
#[test]
fn sources_may_allocate_while_the_heap_is_started() {
    struct Greedy;
    static BOOKS: StaticMetadata<64> = StaticMetadata::new();
    static HEAP: EarlyHeap<Heap<Region<Cpus>, Greedy>, 256> = EarlyHeap::new();
    static SERVED: AtomicU32 = AtomicU32::new(0);

    // SAFETY: another's pages, handed on.
    unsafe impl MetadataSource for Greedy {
        fn alloc(&self) -> Option<NonNull<MetadataPage>> {
            if HEAP.slab().is_none() {
                let note = HEAP.try_alloc(layout(100, 8)).unwrap();
                SERVED.fetch_add(1, Ordering::Relaxed);
                // SAFETY: just taken.
                unsafe { HEAP.free(note, layout(100, 8)) };
            }
            (&BOOKS).alloc()
        }

        unsafe fn free(&self, page: NonNull<MetadataPage>) {
            // SAFETY: as the caller promises.
            unsafe { (&BOOKS).free(page) };
        }
    }

    let (memory, words) = (Box::new_uninit_slice(16), Box::new_uninit_slice(region_words(16)));
    // SAFETY: the tests' CPUs are named as threads say.
    let region = unsafe { Region::new(Box::leak(memory), Box::leak(words), Cpus) };
    HEAP.init(region, Greedy, Mode::Fast).unwrap();
    assert!(SERVED.load(Ordering::Relaxed) > 0);
    assert!(HEAP.try_alloc(layout(8, 8)).is_ok());
}

#[test]
fn threads_lose_nothing_while_the_heap_is_started_among_them() {
    for seed in 0..40 {
        let heap = heap();
        let pool: Mutex<Vec<Block>> = Mutex::default();
        thread::scope(|scope| {
            for cpu in 0..3_u16 {
                let (heap, pool) = (&*heap, &pool);
                scope.spawn(move || on(cpu, 0, || work(heap, pool, cpu, seed)));
            }
        });
        pool.into_inner().unwrap().into_iter().for_each(|block| block.free(&heap));
        assert_eq!((used(&heap), heap.stats().unwrap().live_bytes), ((0, 0), 0), "seed {seed}");
        (1..3).for_each(|cpu| _ = on(cpu, 0, || heap.drain()));
    }
}

fn work(heap: &TestHeap, pool: &Mutex<Vec<Block>>, cpu: u16, seed: u64) {
    let random = Random::new(seed << 8 | u64::from(cpu));
    let number = |below: u64| usize::try_from(random.below(below)).unwrap();
    for step in 0..600 {
        if cpu == 0 && step == 300 {
            start(heap, 128);
        }
        let taken = {
            let mut pool = pool.lock().unwrap();
            let many = pool.len() as u64;
            (many > 20 || many > 0 && random.one_in(2)).then(|| pool.swap_remove(number(many)))
        };
        let (size, mark) = (1 + number(1 << random.below(10)), u8::try_from(random.below(256)).unwrap());
        let wanted = layout(size, 1 << random.below(7));
        let left = match taken {
            None if random.one_in(4) => Block::zeroed(heap, wanted, mark),
            None => Block::new(heap, wanted, mark),
            Some(block) if random.one_in(3) => Some(block.resized(heap, size)),
            Some(block) => {
                block.free(heap);
                None
            }
        };
        pool.lock().unwrap().extend(left);
    }
}
