//! Threads as CPUs.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;

use kernel_arena::hosted::Threads;
use kernel_arena::platform::{CpuIdentity, CpuLevel};
use kernel_arena::slab::LEVELS;

use crate::child::in_a_child;

/// One test at a time counts the process's numbers.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn here() -> Option<CpuLevel> {
    Threads::new().bind();
    Threads::new().current()
}

/// What so many threads, all running at once, call themselves.
fn numbers_of(threads: usize) -> Vec<Option<CpuLevel>> {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let spawn = |_| {
            let work = || {
                let number = here();
                barrier.wait();
                assert!(number.is_none() || here() == number, "a thread keeps its number");
                number
            };
            thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, work).unwrap()
        };
        let all: Vec<_> = (0..threads).map(spawn).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn threads_that_run_together_have_numbers_of_their_own() {
    let _alone = alone();
    let numbers = numbers_of(50);
    let distinct: HashSet<_> = numbers.iter().flatten().collect();
    assert_eq!(distinct.len(), 50);
    let count = Threads::new().count().get();
    assert!(numbers.iter().flatten().all(|level| u32::from(level.cpu.number()) < count));
    assert!(numbers.iter().flatten().all(|level| u32::from(level.level) < u32::from(LEVELS)));
}

#[test]
fn a_number_goes_on_to_a_later_thread() {
    let _alone = alone();
    for _ in 0..1000 {
        assert!(
            thread::spawn(here).join().unwrap().is_some(),
            "a number for each of a thousand threads, one at a time"
        );
    }
}

#[test]
fn threads_beyond_the_count_have_none_until_others_end() {
    let _alone = alone();
    let numbers = numbers_of(2200);
    let some = numbers.iter().flatten().count();
    let distinct: HashSet<_> = numbers.iter().flatten().collect();
    assert_eq!(distinct.len(), some);
    assert!(some <= 2048);
    assert!(some > 1900, "{some}");
    assert!(numbers_of(50).iter().all(Option::is_some));
}

#[test]
fn an_heir_sees_what_was_written_before() {
    let _alone = alone();
    // One cell a number, written without a lock: only the hand-over orders the threads that have the same number.
    static COUNTS: [AtomicU32; 2048] = [const { AtomicU32::new(0) }; 2048];
    let threads = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    thread::spawn(|| {
                        let CpuLevel { cpu, level } = here().unwrap();
                        let mine = &COUNTS[usize::from(cpu.number()) * usize::from(LEVELS) + usize::from(level)];
                        let before = mine.load(Ordering::Relaxed);
                        thread::yield_now();
                        mine.store(before + 1, Ordering::Relaxed);
                    })
                    .join()
                    .unwrap();
                    threads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let counted: u32 = COUNTS.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    assert_eq!(counted, threads.into_inner());
}

#[test]
fn numbers_that_nobody_has_are_lent_one_at_a_time() {
    in_a_child("threads::numbers_that_nobody_has_are_lent_one_at_a_time", lend);
}

fn lend() {
    let lent = || {
        let mut all = Vec::new();
        Threads::new().lend_idle(&mut |cpu| all.push(cpu.number()));
        all
    };
    let mine = here().unwrap().cpu.number();
    numbers_of(50);
    let idle = lent();
    assert!(idle.len() > 30, "50 threads ended: {idle:?}");
    assert_eq!(idle.iter().collect::<HashSet<_>>().len(), idle.len());
    assert!(!idle.contains(&mine), "a number that a thread has is not lent");
    Threads::new().lend_idle(&mut |cpu| {
        // Meanwhile it is nobody else's: neither a new thread's nor another lender's.
        let theirs = thread::spawn(here).join().unwrap().unwrap();
        assert_ne!(theirs.cpu, cpu);
        assert!(!lent().contains(&cpu.number()));
    });
    assert_eq!(lent(), idle, "all were given back");
}

#[test]
fn past_its_end_a_thread_has_no_number() {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    struct Late(Cell<bool>);
    impl Drop for Late {
        fn drop(&mut self) {
            // 1: still its number, 2: none any more. Never a new one.
            SEEN.store(if here().is_some() { 1 } else { 2 }, Ordering::Relaxed);
        }
    }
    thread_local! {
        static LATE: Late = const { Late(Cell::new(false)) };
    }
    let _alone = alone();
    let numbers = |late_first: bool| {
        thread::spawn(move || {
            if late_first {
                LATE.with(|late| late.0.set(true));
            }
            let number = here();
            LATE.with(|late| late.0.set(true));
            number
        })
        .join()
        .unwrap()
    };
    for late_first in [false, true] {
        assert!(numbers(late_first).is_some());
        assert_ne!(SEEN.swap(0, Ordering::Relaxed), 0, "the destructor ran");
    }
    assert!(numbers_of(200).iter().flatten().count() >= 190, "no number was lost");
}
