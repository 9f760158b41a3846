//! The operations of the heap: from the magazines alone to new slabs and back, runs of pages, checked ones, and those
//! of the debug mode.

use kernel_arena::slab::Mode;

use super::{Call, HeapOperation};

const fn shape(name: &'static str, size: usize, before: (u32, u32), call: Call) -> HeapOperation {
    HeapOperation { name, mode: Mode::Fast, size, before, again: 0, is_drained: false, call }
}

/// Objects of the largest class fill a magazine by themselves, and a few dozen the depot.
const LARGE: usize = 32 << 10;
const RUN: usize = 40_000;

/// All of them.
pub(crate) const OPERATIONS: &[HeapOperation] = &[
    shape("heap_alloc_hot", 64, (3, 3), Call::Alloc),
    shape("heap_free_hot", 64, (4, 2), Call::Free),
    HeapOperation { is_drained: true, ..shape("heap_alloc_refill", 64, (5, 1), Call::Alloc) },
    shape("heap_alloc_growth", 64, (0, 0), Call::Alloc),
    shape("heap_alloc_zeroed_growth", 200, (0, 0), Call::AllocZeroed),
    HeapOperation { again: 2, ..shape("heap_alloc_from_depot", LARGE, (8, 7), Call::Alloc) },
    shape("heap_free_into_depot", LARGE, (8, 5), Call::Free),
    shape("heap_free_flush_and_retire", LARGE, (44, 41), Call::Free),
    shape("heap_drain_and_retire", 512, (40, 40), Call::Drain),
    shape("heap_alloc_run", RUN, (1, 0), Call::Alloc),
    shape("heap_free_run", RUN, (2, 0), Call::Free),
    shape("heap_resize_run", RUN, (1, 0), Call::Resize),
    shape("heap_resize_object", 500, (3, 1), Call::Resize),
    shape("heap_alloc_checked", 100, (0, 0), Call::AllocChecked),
    shape("heap_free_checked", 100, (3, 1), Call::FreeChecked),
    HeapOperation { mode: Mode::Debug, ..shape("heap_alloc_debug", 100, (2, 1), Call::Alloc) },
    HeapOperation { mode: Mode::Debug, ..shape("heap_free_debug", 100, (3, 1), Call::Free) },
];
