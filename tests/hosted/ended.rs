//! What threads leave behind that are gone.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Barrier;
use std::thread;

use kernel_arena::PageCount;
use kernel_arena::hosted::HostHeap;

use crate::child::in_a_child;

const BYTES: usize = 32 << 20;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

pub(crate) fn heap() -> HostHeap {
    HostHeap::with_pages(PageCount::new(u32::try_from(BYTES / 4096).unwrap()).unwrap())
}

/// Takes as many objects as two magazines have, of some sizes, and gives them back.
pub(crate) fn fill_magazines(heap: &HostHeap) {
    for size in [1000, 2000, 4000, 8000, 16_000, 24_000, 32_000] {
        // SAFETY: not zero bytes.
        let blocks: Vec<_> = (0..65_536 / size).map(|_| unsafe { heap.alloc(layout(size)) }).collect();
        for block in blocks.into_iter().filter(|block| !block.is_null()) {
            // SAFETY: taken above, with this layout.
            unsafe { heap.dealloc(block, layout(size)) };
        }
    }
}

/// Whether three quarters of the heap can be had in one piece.
pub(crate) fn has_most(heap: &HostHeap) -> bool {
    let layout = layout(BYTES * 3 / 4);
    // SAFETY: not zero bytes.
    let block = unsafe { heap.alloc(layout) };
    if !block.is_null() {
        // SAFETY: taken above.
        unsafe { heap.dealloc(block, layout) };
    }
    !block.is_null()
}

#[test]
fn magazines_of_threads_that_ended_are_within_reach() {
    in_a_child("ended::magazines_of_threads_that_ended_are_within_reach", || {
        let (heap, start) = (heap(), Barrier::new(40));
        thread::scope(|scope| {
            let work = || {
                start.wait();
                fill_magazines(&heap);
                start.wait();
            };
            let threads: Vec<_> = (0..40).map(|_| scope.spawn(work)).collect();
            // A scope waits for what its threads do, a join for their end.
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        let held = heap.stats().unwrap().held_bytes;
        assert!(held > BYTES as u64 / 3, "{held} bytes were left in magazines");
        assert!(has_most(&heap), "{held} bytes are held, and none is live");
        assert_eq!(heap.stats().unwrap().live_bytes, 0);
    });
}
