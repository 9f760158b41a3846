//! Processes that may not map much, and processes whose memory stays.

use std::alloc::{GlobalAlloc, Layout};
use std::env;
use std::hint::black_box;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use kernel_arena::PageCount;
use kernel_arena::hosted::{HostHeap, HostPages};
use kernel_arena::source::PageSource;

use crate::child::{in_a_child, in_a_child_of};
use crate::requests::answers_every_request;

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

fn pages(count: u32) -> PageCount {
    PageCount::new(count).unwrap()
}

/// This program in a shell that keeps it to 100 MiB of addresses.
fn limited() -> Command {
    let mut shell = Command::new("sh");
    // Else the C library may set 64 of them aside for a thread that calls its allocator, if they happen to be aligned.
    shell.env("MALLOC_ARENA_MAX", "1");
    shell.args(["-c", r#"ulimit -v 102400 && exec "$0" "$@""#]).arg(env::current_exe().unwrap());
    shell
}

#[test]
fn a_process_with_few_addresses_has_a_heap_that_grows() {
    in_a_child_of(limited(), "limits::a_process_with_few_addresses_has_a_heap_that_grows", || {
        // This program's own heap, too, has no more.
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        for _ in 0..2 {
            while blocks.len() < 40 {
                blocks.push(vec![7; 1 << 20]);
            }
            assert!(blocks.iter().all(|block| block.iter().all(|byte| *byte == 7)));
            blocks.truncate(1);
        }
        drop(blocks);
        // SAFETY: not zero bytes.
        let large = unsafe { std::alloc::alloc(layout(200 << 20)) };
        // An optimiser may leave out an allocation that nobody uses, as one that succeeds.
        assert!(black_box(large).is_null(), "the limit is kept");
        // What was refused leaves the rest as it was.
        let small: Vec<_> = (0..10_000u64).map(Box::new).collect();
        assert!(small.iter().zip(0..).all(|(have, number)| **have == number));
        let text = "a".repeat(30 << 20);
        assert_eq!(text.len(), 30 << 20);
    });
}

#[test]
fn a_process_that_may_map_nothing_is_told_so_and_has_a_heap_once_it_may() {
    in_a_child("limits::a_process_that_may_map_nothing_is_told_so_and_has_a_heap_once_it_may", || {
        // Puts a limit in place of the one before, and gives that.
        let limit = |resource, most| {
            let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: there is room for both.
            assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limits) }, 0);
            let before = std::mem::replace(&mut limits.rlim_cur, most);
            // SAFETY: both are there.
            assert_eq!(unsafe { libc::setrlimit(resource, &raw const limits) }, 0);
            before
        };
        // Seconds of processor time: who tried for ever would be ended.
        limit(libc::RLIMIT_CPU, 5);
        // Addresses for nothing at all, or for the heap itself, and never for a window.
        for room in [0, 4 << 10, 64 << 10, 1 << 20] {
            let heap = HostHeap::new();
            let before = limit(libc::RLIMIT_AS, statm(0) * 4096 + room);
            // SAFETY: not zero bytes.
            let refused = unsafe { heap.alloc(layout(100)) };
            limit(libc::RLIMIT_AS, before);
            assert!(refused.is_null(), "{room} bytes of addresses");
            // SAFETY: as above.
            let block = unsafe { heap.alloc(layout(100)) };
            assert!(!block.is_null());
            // SAFETY: taken above.
            unsafe { heap.dealloc(block, layout(100)) };
        }
    });
}

#[test]
fn a_window_that_grows_answers_as_one_that_is_whole() {
    in_a_child_of(limited(), "limits::a_window_that_grows_answers_as_one_that_is_whole", || {
        let source = HostPages::reserve(pages((1 << 20) - 1)).unwrap();
        assert_eq!(source.base().addr() % (1 << 32), 0);
        assert_eq!(source.taken_pages(), 0, "what is not mapped yet is not taken");
        let runs: Vec<_> = (0..30).map(|_| source.alloc_pages(pages(256), pages(64)).unwrap()).collect();
        for run in &runs {
            assert_eq!(run.first().number() % 64, 0);
            let start = source.base().wrapping_add(run.to_ptr().offset() as usize);
            // SAFETY: the run's own pages.
            unsafe { start.write_bytes(1, 256 << 12) };
        }
        assert_eq!(source.taken_pages(), 30 * 256);
        for run in runs {
            // SAFETY: taken above, used no more.
            unsafe { source.free_pages(run) };
        }
        assert!(source.alloc_pages(pages(1 << 16), PageCount::ONE).is_err(), "256 MiB");
        assert_eq!(source.taken_pages(), 0);
        let small = HostPages::reserve(pages(100)).unwrap();
        answers_every_request(&small);
    });
}

#[test]
fn threads_that_grow_a_window_at_once_get_pages_of_their_own() {
    in_a_child_of(limited(), "limits::threads_that_grow_a_window_at_once_get_pages_of_their_own", || {
        for _ in 0..20 {
            let (source, start) = (HostPages::reserve(pages((1 << 20) - 1)).unwrap(), Barrier::new(4));
            let work = |mark: u8| {
                start.wait();
                let runs: Vec<_> = (0..40).map(|_| source.alloc_pages(pages(20), PageCount::ONE).unwrap()).collect();
                let memory = |run: &kernel_arena::PageRange| {
                    let start = source.base().wrapping_add(run.to_ptr().offset() as usize);
                    // SAFETY: the run's own pages, one slice at a time.
                    unsafe { std::slice::from_raw_parts_mut(start, 20 << 12) }
                };
                runs.iter().for_each(|run| memory(run).fill(mark));
                start.wait();
                assert!(runs.iter().all(|run| memory(run).iter().all(|byte| *byte == mark)));
            };
            thread::scope(|scope| {
                for mark in 1..=4 {
                    scope.spawn(move || work(mark));
                }
            });
            assert_eq!(source.taken_pages(), 4 * 40 * 20);
        }
    });
}

#[test]
fn a_process_that_locks_its_memory_has_a_heap() {
    in_a_child("limits::a_process_that_locks_its_memory_has_a_heap", || {
        // SAFETY: nothing is given up.
        assert_eq!(unsafe { libc::mlockall(libc::MCL_FUTURE) }, 0);
        let before = resident_pages();
        let heap = HostHeap::new();
        // SAFETY: not zero bytes.
        let block = unsafe { heap.alloc(layout(100_000)) };
        assert!(!block.is_null());
        // SAFETY: taken above.
        unsafe { heap.dealloc(block, layout(100_000)) };
        let more = resident_pages() - before;
        assert!(more < 1000, "{more} pages for a heap of 100 000 bytes");
    });
}

#[test]
fn freeing_touches_no_page_where_none_can_be_given_back() {
    in_a_child("limits::freeing_touches_no_page_where_none_can_be_given_back", || {
        // Locked as they are touched: nothing can be given back, and nothing is there yet.
        // SAFETY: nothing is given up.
        assert_eq!(unsafe { libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) }, 0);
        // The run is a quarter of the window: nothing that large is kept where it can be given back.
        let (heap, size) = (HostHeap::with_pages(pages(4096)), 4 << 20);
        // SAFETY: not zero bytes.
        let block = unsafe { heap.alloc(layout(size)) };
        assert!(!block.is_null());
        // SAFETY: its first byte.
        unsafe { block.write(1) };
        let before = resident_pages();
        // SAFETY: taken above.
        unsafe { heap.dealloc(block, layout(size)) };
        let more = resident_pages().saturating_sub(before);
        assert!(more < 100, "{more} pages were touched by a free");
        // And what was written there does not come back as zeros.
        // SAFETY: not zero bytes.
        let zeroed = unsafe { heap.alloc_zeroed(layout(size)) };
        assert!(!zeroed.is_null());
        // SAFETY: that is its size.
        assert!(unsafe { std::slice::from_raw_parts(zeroed, size) }.iter().all(|byte| *byte == 0));
    });
}

#[test]
fn windows_that_grow_stay_clear_of_each_other_and_of_all_else() {
    in_a_child("limits::windows_that_grow_stay_clear_of_each_other_and_of_all_else", || {
        // SAFETY: nothing is given up.
        assert_eq!(unsafe { libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) }, 0);
        // Threads that call the C library's allocator: it sets many addresses aside for each, where the host maps by itself.
        let done = Barrier::new(9);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    // SAFETY: any number of bytes may be asked for.
                    assert!(!unsafe { libc::malloc(100) }.is_null());
                    done.wait();
                    done.wait();
                });
            }
            done.wait();
            let sizes = [100, 1000, 4096, 5000, 4096, 20_000, 4096, 9000, 100, 100_000];
            let sources = sizes.map(|size| HostPages::reserve(pages(size)).ok());
            let take = |source: &HostPages| source.alloc_pages(PageCount::ONE, PageCount::ONE).is_ok();
            let take_all = |source: &HostPages| (0..1 << 20).find(|_| !take(source)).unwrap_or(1 << 20);
            let taken = sources.each_ref().map(|source| source.as_ref().map_or(0, take_all));
            done.wait();
            assert_eq!(taken, sizes, "a window ran into something");
        });
    });
}

fn resident_pages() -> u64 {
    statm(1)
}

/// The process's pages: 0 for those of its addresses, 1 for those that are resident.
fn statm(figure: usize) -> u64 {
    let figures = std::fs::read_to_string("/proc/self/statm").unwrap();
    figures.split_whitespace().nth(figure).unwrap().parse().unwrap()
}
