//! Pages and bookkeeping from `mmap`.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

use kernel_arena::hosted::{HostHeap, HostMetadata, HostPages, MapError};
use kernel_arena::source::{MetadataSource, PageSource};
use kernel_arena::{AllocError, PageCount, PageRange};

use crate::requests::answers_every_request;

fn pages(count: u32) -> PageCount {
    PageCount::new(count).unwrap()
}

fn bytes<'a>(source: &HostPages, run: PageRange) -> &'a mut [u8] {
    let start = source.base().wrapping_add(run.to_ptr().offset() as usize);
    let length = usize::try_from(run.count().bytes()).unwrap();
    // SAFETY: the tests ask for pages that they hold, one slice at a time.
    unsafe { std::slice::from_raw_parts_mut(start, length) }
}

#[test]
fn fresh_pages_are_zero_and_given_back_ones_again() {
    let source = HostPages::reserve(pages(64)).unwrap();
    for count in [1, 3, 64, 1] {
        let run = source.alloc_pages(pages(count), PageCount::ONE).unwrap();
        assert_eq!(run.first().number(), 1, "the lowest pages, each time");
        let memory = bytes(&source, run);
        assert!(memory.iter().all(|byte| *byte == 0));
        memory.fill(0xa5);
        // SAFETY: taken above, used no more.
        unsafe { source.free_pages(run) };
        source.reclaim();
        assert_eq!((source.taken_pages(), source.kept_pages()), (0, 0));
    }
}

#[test]
fn giving_pages_back_leaves_their_neighbours_as_they_are() {
    let source = HostPages::reserve(pages(1600)).unwrap();
    let run = source.alloc_pages(pages(300), PageCount::ONE).unwrap();
    bytes(&source, run).fill(7);
    // Alone, two together, across two words of bits.
    let holes = [(5, 1), (9, 2), (60, 10), (300, 1)];
    for (first, count) in holes {
        let hole = PageRange::new(kernel_arena::PageIndex::new(first).unwrap(), pages(count)).unwrap();
        // SAFETY: pages taken above, used no more.
        unsafe { source.free_pages(hole) };
    }
    source.reclaim();
    for (page, number) in bytes(&source, run).chunks_exact(4096).zip(1..) {
        let expected = if holes.iter().any(|(first, count)| (*first..first + count).contains(&number)) { 0 } else { 7 };
        assert!(page.iter().all(|byte| *byte == expected), "page {number}");
    }
}

#[test]
fn no_more_is_kept_than_a_part_of_the_window() {
    let source = HostPages::reserve(pages(128 * 100)).unwrap();
    let all: Vec<_> = (0..300).map(|_| source.alloc_pages(pages(10), PageCount::ONE).unwrap()).collect();
    for run in all {
        // SAFETY: taken above, used no more.
        unsafe { source.free_pages(run) };
        assert!(source.kept_pages() <= 100);
    }
    assert_eq!(source.taken_pages(), 0);
    let source = HostPages::reserve(pages(128 * 100)).unwrap();
    let run = source.alloc_pages(pages(51), PageCount::ONE).unwrap();
    let before = source.kept_pages();
    // SAFETY: taken above, used no more.
    unsafe { source.free_pages(run) };
    assert_eq!(source.kept_pages(), before, "a run that large goes back at once");
    assert_eq!(source.taken_pages(), 0);
}

#[test]
fn a_thread_keeps_runs_of_up_to_a_mebibyte_and_two_mebibytes_of_them() {
    let heap = HostHeap::new();
    let kept = || heap.stats().unwrap().slab.kept_run_bytes;
    for (bytes, count, expected) in [
        (1 << 20, 1, 1 << 20),
        (1 << 20, 3, 2 << 20),
        ((1 << 20) + 1, 1, 2 << 20),
        (1 << 18, 9, 1 << 20),
        (3 << 18, 5, 3 << 19),
    ] {
        let layout = Layout::from_size_align(bytes, 8).unwrap();
        // SAFETY: the size is not 0.
        let blocks: Vec<_> = (0..count).map(|_| unsafe { heap.alloc(layout) }).collect();
        for block in blocks {
            assert!(!block.is_null());
            // SAFETY: taken above, used no more.
            unsafe { heap.dealloc(block, layout) };
        }
        assert_eq!(kept(), expected, "after {count} of {bytes} bytes");
    }
    heap.get().unwrap().drain();
    assert_eq!(kept(), 0);
}

#[test]
fn runs_that_are_taken_in_turns_are_given_back_once() {
    let source = HostPages::reserve(pages(128 * 100)).unwrap();
    for (count, number) in [(40, 3), (40, 8), (60, 1), (150, 2)] {
        let cycle = || {
            let runs: Vec<_> = (0..number).map(|_| source.alloc_pages(pages(count), PageCount::ONE).unwrap()).collect();
            // SAFETY: taken above, used no more.
            runs.into_iter().for_each(|run| unsafe { source.free_pages(run) });
            source.kept_pages()
        };
        source.reclaim();
        (0..3).for_each(|_| {
            cycle();
        });
        assert_eq!([cycle(), cycle()], [count * number; 2], "{number} runs of {count} pages");
    }
    let most = 128 * 100 / 32;
    for _ in 0..10 {
        let all: Vec<_> = (0..50).map(|_| source.alloc_pages(pages(20), PageCount::ONE).unwrap()).collect();
        for run in all {
            // SAFETY: taken above, used no more.
            unsafe { source.free_pages(run) };
            assert!(source.kept_pages() <= most, "a 32nd at most");
        }
    }
}

#[test]
fn offsets_are_aligned_as_addresses_are() {
    let source = HostPages::reserve(pages(10_000)).unwrap();
    assert_eq!(source.base().addr() % (16_384 << 12), 0);
    let run = source.alloc_pages(pages(1), pages(4096)).unwrap();
    assert_eq!(run.first().number(), 4096);
    let address = source.base().addr() + run.to_ptr().offset() as usize;
    assert_eq!(address % (4096 << 12), 0);
}

#[test]
fn the_largest_window_has_a_last_page() {
    let source = HostPages::reserve(pages((1 << 20) - 1)).unwrap();
    assert_eq!(source.base().addr() % (1 << 32), 0);
    let all = source.alloc_pages(pages((1 << 20) - 1), PageCount::ONE).unwrap();
    let memory = bytes(&source, all);
    memory[0] = 1;
    *memory.last_mut().unwrap() = 1;
    assert_eq!(memory.len(), (1 << 32) - 4096);
    assert!(matches!(source.alloc_pages(PageCount::ONE, PageCount::ONE), Err(AllocError::NoSpace(_))));
}

#[test]
fn no_pages_and_more_than_a_window_are_refused() {
    assert_eq!(HostPages::reserve(PageCount::ZERO).unwrap_err(), MapError::BadSize);
    assert_eq!(HostPages::reserve(pages(1 << 20)).unwrap_err(), MapError::BadSize);
    assert_eq!(HostMetadata::reserve(PageCount::ZERO).unwrap_err(), MapError::BadSize);
}

#[test]
fn every_request_is_answered() {
    answers_every_request(&HostPages::reserve(pages(100)).unwrap());
    // Runs of up to 150 pages are kept there, and remembered.
    answers_every_request(&HostPages::reserve(pages(128 * 300)).unwrap());
}

#[test]
fn a_dropped_window_is_unmapped() {
    // Other tests map things meanwhile, but far fewer.
    let before = mappings();
    for _ in 0..200 {
        drop(HostPages::reserve(pages((1 << 20) - 1)).unwrap());
        drop(HostMetadata::reserve(pages(1000)).unwrap());
    }
    assert!(mappings() < before + 100, "{} mappings before, {} now", before, mappings());
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count())
}

#[test]
fn bookkeeping_pages_are_handed_out_once_and_come_back() {
    let source = HostMetadata::reserve(pages(100)).unwrap();
    let all: Vec<_> = std::iter::from_fn(|| source.alloc()).collect();
    assert_eq!(all.len(), 100);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 100);
    for page in &all {
        assert_eq!(page.addr().get() % 4096, 0);
        // SAFETY: handed out above, to nobody else.
        unsafe { page.cast::<[u8; 4096]>().write([1; 4096]) };
    }
    for page in all {
        // SAFETY: handed out above, used no more.
        unsafe { source.free(page) };
    }
    assert_eq!(std::iter::from_fn(|| source.alloc()).count(), 100);
    assert_eq!(source.used_pages(), 100);
}

#[test]
fn many_threads_never_hold_the_same_page() {
    const THREADS: u8 = 4;
    let source = HostPages::reserve(pages(200)).unwrap();
    let metadata = HostMetadata::reserve(pages(100)).unwrap();
    let start = Barrier::new(usize::from(THREADS));
    let work = &|mark: u8| {
        start.wait();
        for round in 0..1000u32 {
            let run = source.alloc_pages(pages(1 + round % 5), PageCount::ONE).unwrap();
            let page = metadata.alloc().unwrap();
            let memory = bytes(&source, run);
            memory.fill(mark);
            if round % 10 == 0 {
                source.reclaim();
            }
            // SAFETY: this thread's.
            unsafe { page.cast::<u8>().write(mark) };
            thread::yield_now();
            assert!(memory.iter().all(|byte| *byte == mark));
            // SAFETY: this thread's, and written to.
            assert_eq!(unsafe { page.cast::<u8>().read() }, mark);
            // SAFETY: this thread's, used no more.
            unsafe { metadata.free(page) };
            // SAFETY: as above.
            unsafe { source.free_pages(run) };
        }
    };
    thread::scope(|scope| {
        for mark in 1..=THREADS {
            scope.spawn(move || work(mark));
        }
    });
    assert_eq!(source.taken_pages(), 0);
    assert!(metadata.used_pages() <= u32::from(THREADS));
}
