//! A heap on a private arena, made for a test, and blocks of it.
//!
//! A block is filled with a byte that is its own. Its memory is reached by raw pointers alone.

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use kernel_arena::heap::{Heap, HeapStats};
use kernel_arena::slab::{Mode, SizeClass, Slab};
use kernel_arena::source::ArenaPages;
use kernel_arena::{ArenaPtr, PAGE_SIZE};
use support::KernelPlatform;

use super::ledger::Ledger;
use super::{Call, HeapOperation};
use crate::bench::{Bench, KernelArena};
use crate::check::{Checked, Failure, equal};
use crate::fault::REGISTRY;
use crate::interrupt::{Schedule, interrupt};
use crate::site::Site;

/// The heap of a test.
pub(super) type StepHeap<'a> = Heap<ArenaPages<'a, KernelPlatform>, &'a Ledger<'a>>;

/// Pages of the arena: the lower half for blocks, the upper one for wild accesses.
const PAGES: u32 = 4096;

/// Where a test takes place.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(super) heap: &'a StepHeap<'a>,
    pub(super) site: Site<'a>,
}

/// A block, and what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    start: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

impl Bench {
    /// Lets `body` have a heap on a private arena, and takes both down. All frames must come back.
    pub(super) fn with_heap(&self, mode: Mode, body: impl FnOnce(&Place<'_>) -> Checked) -> Checked {
        let frames = self.frames().free_count();
        let arena = self.create_private(PAGES)?;
        // SAFETY: the arena stays where it is until `remove` below has returned `Ok`; if it does not, the kernel ends.
        let registration = unsafe { REGISTRY.register(&arena) }?;
        let outcome = in_heap(&arena, mode, body);
        REGISTRY.remove(registration).expect("no fault is in flight: one CPU uses the arena, and it is here");
        let back = arena.destroy().expect("no view is attached");
        self.keep(back.metadata);
        drop(back.platform);
        outcome.and(equal("frames after the arena and the heap", self.frames().free_count(), frames))
    }
}

fn in_heap(arena: &KernelArena, mode: Mode, body: impl FnOnce(&Place<'_>) -> Checked) -> Checked {
    let ledger = Ledger::new(arena.platform());
    let heap = StepHeap::new();
    heap.init(ArenaPages::new(arena), &ledger, mode)?;
    let place = Place { heap: &heap, site: Site { arena } };
    body(&place)?;
    equal("misuses", place.stats().slab.misuses, 0)?;
    Ok(arena.validate()?)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("the tests' sizes are small")
}

impl Place<'_> {
    pub(super) fn stats(&self) -> HeapStats {
        self.heap.stats().expect("it was initialised")
    }

    fn slab(&self) -> &Slab<ArenaPages<'_, KernelPlatform>, &Ledger<'_>> {
        self.heap.slab().expect("it was initialised")
    }

    /// Brings the heap to where the operation starts; what is held then.
    pub(super) fn prepare(&self, operation: &HeapOperation) -> Result<Vec<Block>, Failure> {
        let (taken, given) = operation.before;
        let mut held = Vec::with_capacity(64);
        let take = || {
            let block = match operation.call {
                Call::FreeChecked => self.alloc_checked(operation.size),
                _ => self.alloc(operation.size),
            };
            let block = block.ok_or_else(|| Failure::new("there is memory, but a block is not to be had"))?;
            Ok::<_, Failure>(block.filled(self))
        };
        for _ in 0..taken {
            held.push(take()?);
        }
        for _ in 0..given {
            let block = held.remove(0);
            self.give_back(operation, block);
        }
        for _ in 0..operation.again {
            held.push(take()?);
        }
        if operation.is_drained {
            self.heap.drain();
        }
        Ok(held)
    }

    pub(super) fn alloc(&self, size: usize) -> Option<Block> {
        let layout = layout(size);
        Some(Block { start: self.heap.try_alloc(layout).ok()?, layout, mark: 0 })
    }

    pub(super) fn alloc_zeroed(&self, size: usize) -> Option<Block> {
        let layout = layout(size);
        // SAFETY: the size is not 0.
        let start = NonNull::new(unsafe { self.heap.alloc_zeroed(layout) })?;
        Some(Block { start, layout, mark: 0 })
    }

    pub(super) fn alloc_checked(&self, size: usize) -> Option<Block> {
        let layout = layout(size);
        let start = self.slab().to_kernel(self.slab().alloc_checked(layout).ok()?);
        Some(Block { start: NonNull::new(start)?, layout, mark: 0 })
    }

    pub(super) fn free(&self, block: Block) {
        // SAFETY: it came from this heap with this layout, and whoever has the block has it alone.
        unsafe { self.heap.free(block.start, block.layout) };
    }

    pub(super) fn free_checked(&self, block: Block) -> bool {
        let offset = block.start.addr().get() as u64 - self.site.arena.layout().base().value();
        u32::try_from(offset).is_ok_and(|offset| self.slab().free_checked(ArenaPtr::new(offset)).is_ok())
    }

    pub(super) fn resize(&self, block: Block, size: usize) -> Option<Block> {
        // SAFETY: it came from this heap with this layout, and the new size is not 0.
        let start = unsafe { self.heap.realloc(block.start.as_ptr(), block.layout, size) };
        Some(Block { start: NonNull::new(start)?, layout: layout(size), ..block })
    }

    /// Gives a block back by the way that it was taken.
    pub(super) fn give_back(&self, operation: &HeapOperation, block: Block) {
        if matches!(operation.call, Call::AllocChecked | Call::FreeChecked) {
            self.free_checked(block);
        } else {
            self.free(block);
        }
    }

    /// Empties the magazines of all levels that were used, and reclaims: nothing may be left.
    pub(super) fn clean(&self) -> Checked {
        // Guests had the levels above: one comes once more, and has a fault whose handler is higher still and uses no
        // heap.
        let drain = |_| {
            self.heap.drain();
            Ok(())
        };
        interrupt(Schedule::Once(0), &drain, || ()).1.check()?;
        self.heap.reclaim();
        while self.site.arena.take_violation().is_some() {}
        let (heap, pages) = (self.stats(), self.site.arena.stats());
        let cached: u64 = heap.slab.classes.iter().map(|class| class.cached).sum();
        equal(
            "bytes live, run and held, objects cached",
            (heap.live_bytes, heap.run_bytes, heap.held_bytes, cached),
            (0, 0, 0, 0),
        )?;
        let left = (pages.claimed_pages, pages.deferred_pages, pages.tainted_pages, pages.tainted_regions);
        equal("pages claimed, queued and marked, and regions marked", left, (0, 0, 0, 0))
    }
}

impl Block {
    pub(super) fn size(self) -> usize {
        self.layout.size()
    }

    /// The bytes that it counts as.
    pub(super) fn rounded(self) -> u64 {
        let pages = (self.size() as u64).next_multiple_of(PAGE_SIZE);
        SizeClass::of(self.layout).map_or(pages, |class| class.size() as u64)
    }

    fn at(self, place: usize) -> *mut u8 {
        self.start.as_ptr().wrapping_add(place)
    }

    /// The places that are written and looked at: some of each 64 bytes, and the ends.
    fn places(self) -> impl Iterator<Item = usize> {
        let last = self.size() - 1;
        (0..last).step_by(if self.size() <= 256 { 1 } else { 61 }).chain([last])
    }

    /// The block with contents of its own.
    pub(super) fn filled(self, _: &Place<'_>) -> Self {
        let number = (self.start.addr().get() >> 3) ^ self.size();
        let block = Self { mark: number.to_le_bytes()[0] | 1, ..self };
        for place in block.places() {
            // SAFETY: the block is ours, and has so many bytes.
            unsafe { block.at(place).write_volatile(block.mark) };
        }
        block
    }

    /// Whether it holds what was written, below `limit`.
    pub(super) fn holds(self, _: &Place<'_>, limit: usize) -> bool {
        // SAFETY: the block is ours, has so many bytes, and this one was written.
        let read = |place| unsafe { self.at(place).read_volatile() };
        self.places().filter(|place| *place < limit).all(|place| read(place) == self.mark)
    }

    pub(super) fn is_zero(self, _: &Place<'_>) -> bool {
        // SAFETY: the block is ours, has so many bytes, and they were zeroed.
        (0..self.size()).all(|place| unsafe { self.at(place).read_volatile() } == 0)
    }
}
