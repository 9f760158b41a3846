//! Children made by `fork`, which have a copy of the heap, and one thread of those that used it.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kernel_arena::hosted::HostHeap;

use crate::child::in_a_child;
use crate::ended::{fill_magazines, has_most, heap};

/// Runs `body` in a forked child; whether it said yes.
fn forked(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child allocates, which this heap allows, and ends by `_exit`.
    match unsafe { libc::fork() } {
        0 => {
            let good = body();
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(!good)) }
        }
        child => {
            let mut status = 0;
            // SAFETY: there is room for the status.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            status == 0
        }
    }
}

#[test]
fn a_child_has_what_threads_had_that_it_does_not_have() {
    in_a_child("fork::a_child_has_what_threads_had_that_it_does_not_have", || {
        let (heap, filled, done) = (heap(), Barrier::new(41), Barrier::new(41));
        thread::scope(|scope| {
            let work = || {
                filled.wait();
                fill_magazines(&heap);
                filled.wait();
                done.wait();
            };
            let threads: Vec<_> = (0..40).map(|_| scope.spawn(work)).collect();
            filled.wait();
            filled.wait();
            assert!(!has_most(&heap), "the threads are there, and have it");
            assert!(forked(|| has_most(&heap)));
            done.wait();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    });
}

/// Takes and gives back so many blocks that magazines change hands, and checks that each is nobody else's.
fn churn(heap: &HostHeap, mark: u64, rounds: usize, go_on: impl Fn() -> bool) -> bool {
    let layout = Layout::new::<[u64; 8]>();
    (0..rounds).take_while(|_| go_on()).all(|_| {
        // SAFETY: not zero bytes.
        let blocks: Vec<_> = (0..700).map(|_| unsafe { heap.alloc(layout) }.cast::<u64>()).collect();
        // SAFETY: the blocks' own bytes.
        blocks.iter().for_each(|block| unsafe { block.write(mark) });
        // SAFETY: as above.
        let good = blocks.iter().all(|block| unsafe { block.read() } == mark);
        // SAFETY: taken above, with this layout.
        blocks.iter().for_each(|block| unsafe { heap.dealloc(block.cast(), layout) });
        good
    })
}

#[test]
fn a_child_forked_at_any_moment_goes_on() {
    in_a_child("fork::a_child_forked_at_any_moment_goes_on", || {
        let (heap, stop) = (HostHeap::new(), AtomicBool::new(false));
        thread::scope(|scope| {
            for mark in 1..=3 {
                let (heap, stop) = (&heap, &stop);
                scope.spawn(move || assert!(churn(heap, mark, usize::MAX, || !stop.load(Ordering::Relaxed))));
            }
            for _ in 0..15 {
                let heirs = || {
                    thread::scope(|scope| {
                        let heap = &heap;
                        let heirs: Vec<_> =
                            (10..14).map(|mark| scope.spawn(move || churn(heap, mark, 20, || true))).collect();
                        heirs.into_iter().all(|heir| heir.join().unwrap())
                    })
                };
                assert!(forked(heirs));
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}
