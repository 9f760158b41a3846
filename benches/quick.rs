//! `cargo bench` in the workspace's root: what a page and an object cost on this machine, in a few seconds.
//!
//! On one CPU, with the example platform of `kernel_arena::Platform`'s documents: no page table is walked and no TLB is
//! flushed, so this is the library's own share. `cargo bench --bench pages` is about the search for pages. The package `kernel-arena-benches` measures the heap beside other
//! allocators, with threads.

#[expect(unreachable_pub, reason = "an example written for documents")]
#[path = "../src/platform/example.rs"]
mod kernel;
#[expect(unreachable_pub, reason = "for two benchmarks")]
mod median;

use std::alloc::Layout;
use std::hint::black_box;

use kernel::{LAYOUT, MyKernel, OneCpu};
use kernel_arena::slab::{Mode, Slab};
use kernel_arena::source::{Region, StaticMetadata, region_words};
use kernel_arena::{AllocRequest, Arena, Owner, PageCount};
use median::{ROUNDS, median};

/// Objects that are taken before the first is given back.
const BATCH: usize = 64;
/// Pages for objects.
const PAGES: usize = 1024;

/// Bookkeeping of the slab.
static METADATA: StaticMetadata<64> = StaticMetadata::new();

fn main() {
    println!("the library's own share of an operation, one CPU, median of {ROUNDS} rounds");
    pages();
    objects();
    println!("beside other allocators: cargo run --release -p kernel-arena-benches -- --quick");
}

/// A page of an arena, and its way back.
fn pages() {
    let metadata = Box::leak(Box::new_uninit_slice(LAYOUT.metadata_words()));
    let arena: Arena<MyKernel> = Arena::new(MyKernel::boot(), LAYOUT, metadata).expect("the example's layout is good");
    let one = PageCount::new(1).expect("one page fits");
    measure("a page: allocated and freed", 1, || {
        let pages = arena.alloc_pages(AllocRequest::new(one, Owner::Kernel)).expect("there are pages");
        arena.free_pages(pages.to_ptr(), one, Owner::Kernel).expect("it was just allocated");
    });
}

/// Objects of a slab.
fn objects() {
    let memory = Box::leak(Box::new_uninit_slice(PAGES));
    let words = Box::leak(Box::new_uninit_slice(region_words(PAGES)));
    // SAFETY: there is one CPU, number 0, at level 0: this thread.
    let region = unsafe { Region::new(memory, words, OneCpu) };
    let slab = Slab::new(region, &METADATA, Mode::Fast).expect("there is bookkeeping");
    for size in [16, 64, 1024] {
        let layout = Layout::from_size_align(size, 8).expect("a size and an alignment");
        measure(&format!("{size} bytes: allocated and freed"), 1, || {
            let object = slab.alloc(layout).expect("there are pages");
            // SAFETY: it was just allocated with this layout, and nobody uses it.
            unsafe { slab.free(black_box(object), layout) };
        });
        measure(&format!("{size} bytes: {BATCH} allocated, then all freed"), BATCH, || {
            let objects: [_; BATCH] = std::array::from_fn(|_| slab.alloc(layout).expect("there are pages"));
            for object in black_box(objects) {
                // SAFETY: it was just allocated with this layout, and nobody uses it.
                unsafe { slab.free(object, layout) };
            }
        });
    }
}

/// Prints what one of so many operations costs that `work` does.
fn measure(name: &str, operations: usize, work: impl FnMut()) {
    println!("  {name:<42} {:>8.1} ns", median(operations, work));
}
