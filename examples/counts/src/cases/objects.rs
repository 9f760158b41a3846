//! Objects: the heap and the pool.

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;

use kernel_arena::heap::Heap;
use kernel_arena::pool::Pool;
use kernel_arena::slab::Mode;
use kernel_arena::source::{ArenaPages, FrameMetadata};
use support::check::{Failure, equal, holds};

use super::{Case, private, shared};
use crate::site::{Platform, Site};
use crate::steady::{count, steady};

pub(super) const CASES: &[Case] = &[
    private("heap::pair_of_64_bytes_called", |site| heap_pair(site, |heap| called(heap, LAYOUT))),
    private("heap::pair_of_64_bytes_inlined", |site| heap_pair(site, inlined)),
    private("heap::pair_of_40_kib_called", |site| heap_pair(site, |heap| called(heap, PAGES))),
    shared("pool::pair_with_a_block_live", |site| pool_pair(site, true)),
    shared("pool::pair_with_no_block_live", |site| pool_pair(site, false)),
];

type SiteHeap<'a> = Heap<ArenaPages<'a, Platform>, FrameMetadata<'a, Platform>>;

const BYTES: usize = 64;
const LAYOUT: Layout = Layout::new::<[u64; BYTES / 8]>();
/// What is no object of a slab, but pages that were given back a moment ago.
const PAGES: Layout = Layout::new::<[u64; 10 * 512]>();

#[inline(never)]
unsafe fn take(heap: &SiteHeap<'_>, layout: Layout) -> *mut u8 {
    // SAFETY: as the caller promises.
    unsafe { heap.alloc(layout) }
}

#[inline(never)]
unsafe fn give(heap: &SiteHeap<'_>, object: *mut u8, layout: Layout) {
    // SAFETY: as the caller promises.
    unsafe { heap.dealloc(object, layout) };
}

/// As a program calls its global allocator.
fn called(heap: &SiteHeap<'_>, layout: Layout) -> bool {
    // SAFETY: the size is not 0.
    let object = unsafe { take(heap, black_box(layout)) };
    let is_there = is_kept(object);
    // SAFETY: taken above.
    unsafe { give(heap, object, black_box(layout)) };
    is_there
}

/// As code that knows the heap, and the layout.
fn inlined(heap: &SiteHeap<'_>) -> bool {
    // SAFETY: the size is not 0.
    let object = unsafe { heap.alloc(LAYOUT) };
    let is_there = is_kept(object);
    // SAFETY: taken above.
    unsafe { heap.dealloc(object, LAYOUT) };
    is_there
}

/// Whether what is written to an object is read back.
fn is_kept(object: *mut u8) -> bool {
    let object = black_box(object);
    if object.is_null() {
        return false;
    }
    // SAFETY: it was just taken, and has at least a byte.
    unsafe { object.write_volatile(7) };
    // SAFETY: as above.
    unsafe { object.read_volatile() == 7 }
}

fn heap_pair(site: &Site<'_>, pair: fn(&SiteHeap<'_>) -> bool) -> Result<u64, Failure> {
    let heap = SiteHeap::new();
    heap.start_in(Mode::Fast, site.arena)?;
    let counted = steady(|_| {
        let (counted, is_there) = count(|| pair(&heap));
        holds("the object is there", is_there)?;
        Ok(counted)
    });
    let slab = heap.into_slab().ok_or_else(|| Failure::new("there is a heap"))?;
    equal("live objects", slab.destroy().objects, 0)?;
    counted
}

fn pool_pair(site: &Site<'_>, another: bool) -> Result<u64, Failure> {
    let pool = Pool::new(ArenaPages::new(site.arena), FrameMetadata::new(site.arena.platform()));
    let other = another.then(|| pool.alloc(LAYOUT)).transpose()?;
    let counted = steady(|_| {
        let (counted, done) = count(|| pool.alloc(LAYOUT).map(|block| (block, pool.free(block, BYTES).is_ok())));
        let (block, is_freed) = done?;
        holds("the block was where it can be, and is free", is_freed && Some(block) != other)?;
        Ok(counted)
    });
    if let Some(block) = other {
        pool.free(block, BYTES).map_err(|_| Failure::new("the other block is not freed"))?;
    }
    drop(pool.destroy());
    counted
}
