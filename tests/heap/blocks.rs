//! A heap in a lab, and its blocks, each full of its mark.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Arc;

use kernel_arena::heap::Heap;
use kernel_arena::slab::{Mode, Slab};

use crate::slab::lab::{Lab, Metadata, Pages};

/// A heap on so many pages, that come zeroed or not. It is destroyed in the end: one that is merely dropped keeps its sources.
pub(super) struct Bench<const ZEROED: bool = false> {
    pub(super) lab: Arc<Lab>,
    pub(super) heap: Heap<Pages<ZEROED>, Metadata>,
}

/// A block that the test has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) start: *mut u8,
    pub(super) layout: Layout,
    mark: u8,
}

impl Bench {
    pub(super) fn new(pages: usize) -> Self {
        Self::on(&Lab::new(pages), Mode::Fast)
    }
}

impl<const ZEROED: bool> Bench<ZEROED> {
    pub(super) fn on(lab: &Arc<Lab>, mode: Mode) -> Self {
        let heap = Heap::new();
        heap.init(Pages(Arc::clone(lab)), Metadata(Arc::clone(lab)), mode).unwrap();
        Self { lab: Arc::clone(lab), heap }
    }

    pub(super) fn alloc(&self, layout: Layout) -> Option<Block> {
        // SAFETY: no test asks for 0 bytes.
        self.mark(unsafe { self.heap.alloc(layout) }, layout)
    }

    /// The same, which must be zero.
    pub(super) fn alloc_zeroed(&self, layout: Layout) -> Option<Block> {
        // SAFETY: no test asks for 0 bytes.
        let start = unsafe { self.heap.alloc_zeroed(layout) };
        if !start.is_null() {
            // SAFETY: a block of that size, ours alone.
            let memory = unsafe { std::slice::from_raw_parts(start, layout.size()) };
            assert!(*memory == *vec![0; layout.size()], "{layout:?} is not zero");
        }
        self.mark(start, layout)
    }

    fn mark(&self, start: *mut u8, layout: Layout) -> Option<Block> {
        if start.is_null() {
            return None;
        }
        assert_eq!(start.addr() % layout.align(), 0, "{layout:?} at {start:?}");
        #[expect(clippy::cast_possible_truncation, reason = "any byte does")]
        let mark = (start.addr() >> 3) as u8 | 1;
        // SAFETY: a block of that size, ours alone.
        unsafe { start.write_bytes(mark, layout.size()) };
        Some(Block { start, layout, mark })
    }

    pub(super) fn check(&self, block: &Block) {
        self.check_first(block, block.layout.size());
    }

    fn check_first(&self, block: &Block, bytes: usize) {
        // SAFETY: the block is the test's, and that large.
        let memory = unsafe { std::slice::from_raw_parts(block.start, bytes) };
        assert!(*memory == *vec![block.mark; bytes], "{block:?} was written to");
    }

    pub(super) fn free(&self, block: Block) {
        self.check(&block);
        // SAFETY: the block is the test's, with this layout.
        unsafe { self.heap.dealloc(block.start, block.layout) };
    }

    /// Changes the size; what fits keeps its contents. `None`: it is as it was.
    pub(super) fn realloc(&self, block: Block, size: usize) -> Option<Block> {
        self.check(&block);
        // SAFETY: the block is the test's, with this layout.
        let start = unsafe { self.heap.realloc(block.start, block.layout, size) };
        if start.is_null() {
            self.check(&block);
            return None;
        }
        let layout = Layout::from_size_align(size, block.layout.align()).unwrap();
        let moved = Block { start, layout, mark: block.mark };
        self.check_first(&moved, size.min(block.layout.size()));
        self.mark(start, layout)
    }

    /// All that is out goes back: nothing is held but bookkeeping.
    pub(super) fn end(&self) {
        self.heap.drain();
        assert_eq!(self.lab.pages_out(), 0, "pages are lost");
        let stats = self.heap.stats().unwrap();
        assert_eq!((stats.live_bytes, stats.run_bytes, stats.held_bytes), (0, 0, 0));
        assert_eq!(stats.slab.metadata_bytes, (self.lab.metadata_out() as u64) << 12);
        assert!(self.lab.book().misuses.is_empty());
    }

    /// Bookkeeping goes back, too.
    pub(super) fn take_down(mut self) {
        let left = self.slab().expect("it was initialised").destroy();
        assert_eq!((left.objects, left.run_bytes), (0, 0));
        assert_eq!((self.lab.pages_out(), self.lab.metadata_out()), (0, 0), "something is missing");
    }

    /// What is left of the heap without the heap; nothing, the second time.
    pub(super) fn slab(&mut self) -> Option<Slab<Pages<ZEROED>, Metadata>> {
        std::mem::take(&mut self.heap).into_slab()
    }
}

impl<const ZEROED: bool> Drop for Bench<ZEROED> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.slab().map(Slab::destroy);
        }
    }
}
