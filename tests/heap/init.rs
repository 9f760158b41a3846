//! Before, during and after initialisation.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use kernel_arena::heap::{Heap, HeapError, InitError};
use kernel_arena::slab::{Mode, SlabError};

use super::blocks::Bench;
use crate::slab::lab::{Fail, Lab, Metadata, Pages};

type TestHeap = Heap<Pages, Metadata>;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

#[test]
fn before_it_is_initialised_a_heap_has_nothing_and_does_no_harm() {
    let heap = TestHeap::default();
    for size in [1, 4096, 1 << 20] {
        // SAFETY: not 0 bytes.
        assert!(unsafe { heap.alloc(layout(size)) }.is_null());
        // SAFETY: not 0 bytes.
        assert!(unsafe { heap.alloc_zeroed(layout(size)) }.is_null());
        assert_eq!(heap.try_alloc(layout(size)), Err(HeapError::NotInitialised));
        // SAFETY: what a heap without memory is given back it leaves alone.
        unsafe { heap.dealloc(ptr::without_provenance_mut(4096), layout(size)) };
        // SAFETY: as above.
        assert!(unsafe { heap.realloc(ptr::without_provenance_mut(4096), layout(size), 100) }.is_null());
    }
    assert_eq!(heap.stats(), None);
    assert!(heap.slab().is_none());
    assert_eq!((heap.drain(), heap.reclaim()), (0, 0));
}

#[test]
fn a_second_initialisation_is_refused_and_gives_its_sources_back() {
    let bench = Bench::new(64);
    let block = bench.alloc(layout(100)).unwrap();
    let other = Lab::new(16);
    let refused = bench.heap.init(Pages(Arc::clone(&other)), Metadata(Arc::clone(&other)), Mode::Fast).unwrap_err();
    assert_eq!(refused.error, InitError::AlreadyInitialised);
    assert!(Arc::ptr_eq(&refused.source.0, &other) && Arc::ptr_eq(&refused.metadata.0, &other));
    assert_eq!((other.pages_out(), other.metadata_out()), (0, 0));
    assert_eq!(InitError::from(refused), InitError::AlreadyInitialised);
    bench.free(block);
    bench.end();
}

#[test]
fn an_initialisation_without_metadata_is_refused_and_can_be_done_again() {
    for n in 0..3 {
        let lab = Lab::new(16);
        lab.book().metadata_fail = Fail::Once(n);
        let heap = TestHeap::new();
        let refused = heap.init(Pages(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), Mode::Fast).unwrap_err();
        assert_eq!(refused.error, InitError::Slab(SlabError::OutOfMetadata));
        assert_eq!(lab.metadata_out(), 0);
        assert!(heap.slab().is_none());
        heap.init(refused.source, refused.metadata, Mode::Fast).unwrap();
        assert!(heap.try_alloc(layout(8)).is_ok());
    }
}

#[test]
fn of_initialisations_that_race_one_is_done() {
    for _ in 0..50 {
        let heap = TestHeap::new();
        let done = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let lab = Lab::new(4);
                    if heap.init(Pages(Arc::clone(&lab)), Metadata(lab), Mode::Fast).is_ok() {
                        done.fetch_add(1, Ordering::Relaxed);
                        assert!(heap.try_alloc(layout(64)).is_ok());
                    }
                });
            }
        });
        assert_eq!(done.load(Ordering::Relaxed), 1);
        assert!(heap.try_alloc(layout(64)).is_ok());
    }
}

#[test]
fn a_heap_that_ends_gives_everything_back() {
    let lab = Lab::new(16);
    let heap = TestHeap::new();
    assert!(TestHeap::new().into_slab().is_none(), "never initialised");
    heap.init(Pages(Arc::clone(&lab)), Metadata(Arc::clone(&lab)), Mode::Fast).unwrap();
    heap.try_alloc(layout(64)).unwrap();
    let leftovers = heap.into_slab().unwrap().destroy();
    assert_eq!((leftovers.objects, leftovers.bytes), (1, 64));
    assert_eq!((lab.metadata_out(), lab.pages_out()), (0, 0));
}

#[test]
fn figures_are_shown_without_the_classes_that_have_nothing() {
    let bench = Bench::new(64);
    let blocks = [100, 100, 3000, 50_000].map(|size| bench.alloc(layout(size)).unwrap());
    let stats = bench.heap.stats().unwrap();
    let shown = format!("{stats:?}");
    assert!(shown.len() < 450, "{shown}");
    for part in ["run_bytes: 53248", "misuses: 0", "{112: 2/", ", 3072: 1/"] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    assert!(shown.contains(&format!("slab: {:?}", stats.slab)), "{shown}");
    blocks.into_iter().for_each(|block| bench.free(block));
    bench.end();
}
