//! Runs that a CPU keeps when they are given back.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::rc::Rc;

use kernel_arena::Misuse;
use kernel_arena::slab::Mode;

use super::blocks::{Bench, Block};
use crate::slab::cpus::{idle, interrupt_at, interrupted, on, preempt_at};
use crate::slab::lab::{Fail, Lab};

/// Enough that a rack keeps runs: 25 pages, while there is one page of racks.
const PAGES: usize = 8192;
const KEPT: u64 = 25;

fn pages(count: usize) -> Layout {
    Layout::from_size_align(count << 12, 8).unwrap()
}

/// Pages that users have, that are kept, that are held.
fn figures(bench: &Bench) -> (u64, u64, u64) {
    let stats = bench.heap.stats().unwrap();
    assert_eq!(stats.held_bytes, (bench.lab.pages_out() as u64) << 12, "held as the source says");
    assert_eq!(stats.live_bytes, stats.run_bytes + stats.slab.live_bytes);
    (stats.run_bytes >> 12, stats.slab.kept_run_bytes >> 12, stats.held_bytes >> 12)
}

fn take(bench: &Bench, count: usize) -> Block {
    bench.alloc(pages(count)).unwrap()
}

fn calls(bench: &Bench) -> (u64, u64) {
    let book = bench.lab.book();
    (u64::from(book.page_calls), u64::from(book.free_calls))
}

#[test]
fn a_run_that_is_given_back_serves_the_next_request_of_its_length() {
    let bench = Bench::new(PAGES);
    let first = take(&bench, 10);
    assert_eq!(figures(&bench), (10, 0, 10));
    bench.free(first);
    assert_eq!(figures(&bench), (0, 10, 10));
    let before = calls(&bench);
    for _ in 0..3 {
        let again = bench.alloc(pages(10)).unwrap();
        assert_eq!((again.start, figures(&bench)), (first.start, (10, 0, 10)));
        bench.free(again);
    }
    assert_eq!(calls(&bench), before, "the source was asked");
    // A size that takes as many pages is as good; another length is not.
    let again = bench.alloc(Layout::from_size_align((9 << 12) + 1, 8).unwrap()).unwrap();
    assert_eq!(again.start, first.start);
    bench.free(again);
    let other = take(&bench, 11);
    assert_eq!(figures(&bench), (11, 10, 21));
    bench.free(other);
    assert_eq!(figures(&bench), (0, 21, 21));
    bench.heap.drain();
    assert_eq!(figures(&bench), (0, 0, 0));
    bench.end();
}

#[test]
fn a_run_that_is_kept_serves_whoever_asks_for_the_alignment_that_it_has() {
    for shift in [0, 1, 3] {
        let bench = Bench::on(&Lab::crooked(PAGES, shift), Mode::Fast);
        for align in [8192, 16_384, 65_536] {
            let layout = Layout::from_size_align(10 << 12, align).unwrap();
            let first = bench.alloc(layout).unwrap();
            bench.free(first);
            let before = calls(&bench);
            let again = bench.alloc(layout).unwrap();
            assert_eq!((again.start, calls(&bench)), (first.start, before), "{align}");
            bench.free(again);
            bench.heap.drain();
        }
        bench.end();
    }
}

#[test]
fn what_is_kept_has_a_bound_in_pages_and_in_runs() {
    let bench = Bench::new(PAGES);
    for count in [9, 12, 33, 64, 65, 16, 24, 25, 26, 9] {
        let blocks: Vec<_> = (0..12).map(|_| take(&bench, count)).collect();
        blocks.into_iter().for_each(|block| bench.free(block));
        let (live, kept, _) = figures(&bench);
        assert!(live == 0 && kept <= KEPT, "{kept} pages after runs of {count}");
        assert_eq!(kept >= count as u64, count as u64 <= KEPT, "runs of {count} pages");
    }
    // Small ones, which are runs because of their alignment: four of them.
    let aligned = Layout::from_size_align(1, 8192).unwrap();
    let blocks: Vec<_> = (0..12).map(|_| bench.alloc(aligned).unwrap()).collect();
    blocks.into_iter().for_each(|block| bench.free(block));
    assert_eq!(figures(&bench).1, 4);
    bench.end();
}

#[test]
fn the_more_racks_there_are_the_less_each_keeps() {
    let bench = Bench::new(PAGES);
    for cpu in 0..40 {
        on(cpu, 0, || {
            let blocks: Vec<_> = (0..9).map(|_| take(&bench, 9)).collect();
            blocks.into_iter().for_each(|block| bench.free(block));
        });
    }
    let (live, kept, held) = figures(&bench);
    assert!(live == 0 && kept == held && kept <= PAGES as u64 / 12, "{kept} pages are kept");
    // CPUs that are down are drained from any other.
    idle(0..40);
    bench.heap.drain();
    assert_eq!(figures(&bench), (0, 0, 0));
    idle([]);
    bench.end();
}

#[test]
fn runs_that_are_kept_are_handed_out_aligned_and_zeroed_as_asked() {
    for shift in [0, 1, 3] {
        let bench = Bench::on(&Lab::crooked(PAGES, shift), Mode::Fast);
        let rows: Vec<_> = (0..6).map(|_| take(&bench, 3 + LEAST)).collect();
        rows.into_iter().for_each(|block| bench.free(block));
        for align in [8192, 16_384, 65_536] {
            // Blocks are checked for their alignment and for zeros when they are taken.
            let layout = Layout::from_size_align((3 + LEAST) << 12, align).unwrap();
            let block = bench.alloc(layout).unwrap();
            bench.free(block);
            let block = bench.alloc_zeroed(layout).unwrap();
            bench.free(block);
        }
        let before = calls(&bench);
        let block = bench.alloc_zeroed(pages(3 + LEAST)).unwrap();
        assert_eq!(calls(&bench), before, "none was kept");
        bench.free(block);
        bench.end();
    }
}

/// Pages of the shortest run that is one for its size.
const LEAST: usize = 9;

#[test]
fn a_run_that_is_given_back_twice_is_refused_and_recorded() {
    let bench = Bench::new(PAGES);
    let (block, other) = (take(&bench, 10), take(&bench, 10));
    bench.free(block);
    bench.free(block);
    assert_eq!(figures(&bench), (10, 10, 20));
    // Also as a part of it, and where no more is out than what is kept.
    // SAFETY: none; it is refused.
    unsafe { bench.heap.free(NonNull::new(block.start).unwrap(), pages(9)) };
    bench.free(other);
    let wild = block.start.wrapping_add(100 << 12);
    // SAFETY: none; it is refused.
    unsafe { bench.heap.free(NonNull::new(wild).unwrap(), pages(10)) };
    let misuses = std::mem::take(&mut bench.lab.book().misuses);
    assert_eq!(misuses.len(), 3);
    assert!(misuses.iter().all(|(_, misuse)| *misuse == Misuse::NotLive));
    let (one, two) = (take(&bench, 10), take(&bench, 10));
    assert_ne!(one.start, two.start);
    [one, two].into_iter().for_each(|block| bench.free(block));
    bench.end();
}

#[test]
fn runs_that_are_kept_are_given_up_when_there_are_no_pages() {
    let bench = Bench::new(PAGES);
    // All pages are taken but for those that CPUs 0, 1 and 5 keep.
    let runs: Vec<_> = [0, 1, 5].map(|cpu| (cpu, on(cpu, 0, || take(&bench, 16)))).into();
    let mut rest = Vec::new();
    for count in [1024, 64, 9] {
        rest.extend(std::iter::from_fn(|| bench.alloc(pages(count))));
    }
    runs.iter().for_each(|(cpu, block)| on(*cpu, 0, || bench.free(*block)));
    assert_eq!(figures(&bench).1, 48);
    // Its own first.
    let first = bench.alloc(pages(14)).unwrap();
    assert_eq!(figures(&bench).1, 32);
    // Then those of a CPU that is down.
    idle([5]);
    let run = bench.alloc(pages(14)).unwrap();
    assert_eq!(figures(&bench).1, 16);
    // CPU 1 is up: what it keeps is its own.
    assert_eq!(bench.alloc(pages(14)), None);
    assert_eq!(figures(&bench).1, 16);
    let run = [run, on(1, 0, || bench.alloc(pages(16)).unwrap())];
    idle([]);
    run.into_iter().chain([first]).chain(rest).for_each(|block| bench.free(block));
    bench.end();
}

#[test]
fn a_run_stays_whole_where_the_source_fails_at_any_call() {
    for n in 0..4 {
        let bench = Bench::new(PAGES);
        bench.lab.book().pages_fail = Fail::From(n);
        let blocks: Vec<_> = (0..6).filter_map(|_| bench.alloc(pages(12))).collect();
        assert_eq!(blocks.len(), n as usize);
        blocks.into_iter().for_each(|block| bench.free(block));
        // As many as are kept can be had again, for all that the source refuses.
        let again: Vec<_> = (0..6).filter_map(|_| bench.alloc(pages(12))).collect();
        assert_eq!(again.len(), (n as usize).min(2));
        again.into_iter().for_each(|block| bench.free(block));
        bench.lab.book().pages_fail = Fail::Never;
        bench.end();
    }
}

/// Runs of some lengths, so many that some go back.
fn story(bench: &Bench) {
    let mut blocks: Vec<_> = [9, 12, 12, 20].into_iter().filter_map(|count| bench.alloc(pages(count))).collect();
    blocks.extend(bench.alloc(Layout::new::<u64>()));
    blocks.drain(..).for_each(|block| bench.free(block));
    blocks.extend([12, 9, 12].into_iter().filter_map(|count| bench.alloc(pages(count))));
    bench.heap.drain();
    blocks.into_iter().for_each(|block| bench.free(block));
}

/// Whoever comes between two instructions, a handler or a thread of the same CPU, finds runs, and leaves some.
#[test]
fn nobody_who_comes_in_between_gets_a_run_that_another_has() {
    for (first, handler) in [(0, true), (1, false)] {
        // A large lab takes a while to make: every other point.
        for point in (first..).step_by(2) {
            let bench = Rc::new(Bench::new(PAGES * 5 / 8));
            let inner = Rc::clone(&bench);
            let come = move || story(&inner);
            if handler {
                interrupt_at(point, come);
            } else {
                preempt_at(point, come);
            }
            story(&bench);
            let came = interrupted();
            on(0, 1, || bench.heap.drain());
            bench.end();
            if !came {
                assert!(point > 10, "there are points");
                break;
            }
        }
    }
}

#[test]
fn debug_mode_keeps_none() {
    let bench = Bench::<false>::on(&Lab::new(PAGES), Mode::Debug);
    let block = take(&bench, 10);
    bench.free(block);
    bench.heap.drain();
    assert_eq!(figures(&bench), (0, 0, 0));
    bench.end();
}

#[test]
fn a_heap_that_is_destroyed_gives_back_what_is_kept() {
    let lab = Lab::new(PAGES);
    let mut bench = Bench::<false>::on(&lab, Mode::Fast);
    let kept = on(3, 0, || take(&bench, 10));
    on(3, 0, || bench.free(kept));
    let _lost = take(&bench, 9);
    let leftovers = bench.slab().unwrap().destroy();
    assert_eq!((leftovers.run_bytes, lab.pages_out()), (9 << 12, 9));
}
