//! Pages: allocated, mapped and zeroed, and all the way back; and slots alone.
//!
//! A subject has a window of so many pages, of which it hands out runs. Whoever takes a page gets it zeroed and in the page
//! tables, whose frames were there before. The frames of pages themselves are a few that come round again, the same for
//! all: what is measured is neither the memory nor a frame allocator. No TLB is behind any of it, nor a shootdown.

mod curves;
mod frames;
mod limit;
#[cfg(target_arch = "x86_64")]
mod locked;
mod ours;
mod reserved;
mod slots;

use std::sync::Arc;

use crate::harness::{Alone, Both, Case, Subject, Work, limit, ours, peer};
use crate::random::Random;

pub(crate) use slots::cases as slots;

/// Somebody who has pages to give, to any thread.
pub(crate) trait Pages: Send + Sync + 'static {
    /// Takes so many in a row, zeroed and mapped; the first of them.
    fn alloc(&self, pages: u32) -> Option<u32>;
    /// Gives them back.
    fn free(&self, first: u32, pages: u32);
    /// Whether the page tables have a page.
    fn is_mapped(&self, page: u32) -> bool;
}

/// As many pages as a window has, but for the one that null is.
const WHOLE: u32 = (1 << 20) - 1;

/// Makes the subjects of a case, each with a work of its own on so many pages.
pub(crate) fn subjects<W: Work + 'static>(pages: u32, work: impl Fn(Arc<dyn Pages>) -> W) -> Vec<Subject> {
    let checked = |pages: Arc<dyn Pages>| {
        check(&*pages);
        work(pages)
    };
    let mut subjects = vec![ours(checked(Arc::new(ours::AtOnce::new(pages))))];
    #[cfg(target_arch = "x86_64")]
    subjects.push(peer("bitmap-allocator + x86_64", checked(Arc::new(locked::Locked::new(pages)))));
    subjects.push(limit("flat bitmap and array", checked(Arc::new(limit::Flat::new(pages)))));
    subjects
}

/// What is taken is mapped, and nobody else's; what is given back is not mapped.
fn check(pages: &dyn Pages) {
    let taken: Vec<u32> = (0..64).map(|_| pages.alloc(1).expect("there are pages")).collect();
    assert!(taken.iter().all(|page| pages.is_mapped(*page)), "what is taken is mapped");
    let mut sorted = taken.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), taken.len(), "no page is two people's");
    taken.iter().for_each(|page| pages.free(*page, 1));
    assert!(!taken.iter().any(|page| pages.is_mapped(*page)), "what is given back is not mapped");
}

fn case(name: &str, threads: usize, subjects: Vec<Subject>) -> Case {
    Case { group: "pages", name: name.to_owned(), threads, at: None, subjects }
}

/// All cases, each made when its turn comes: the pages of many are many.
pub(crate) fn cases() -> Vec<Box<dyn FnOnce() -> Case>> {
    let mut cases: Vec<Box<dyn FnOnce() -> Case>> = vec![
        Box::new(|| case("one page", 1, subjects(WHOLE, |pages| Alone(pair(pages, 1))))),
        Box::new(|| case("one page, in any context, freed deferred", 1, deferred())),
        Box::new(|| {
            let both = |pages: Arc<dyn Pages>| Both::new([pair(Arc::clone(&pages), 1), pair(pages, 1)]);
            case("one page, two threads", 2, subjects(WHOLE, both))
        }),
        Box::new(reserved::case),
        Box::new(|| case("16 pages, none taken", 1, subjects(WHOLE, |pages| Alone(pair(pages, 16))))),
        Box::new(|| {
            let work = |pages: Arc<dyn Pages>| Alone(pair(every_other(pages, 32), 16));
            case("16 pages, every other 32 pages taken", 1, subjects(WHOLE, work))
        }),
        Box::new(|| {
            let work = |pages: Arc<dyn Pages>| Alone(pair(every_other(pages, 1), 16));
            case("16 pages, every other page taken", 1, subjects(WHOLE, work))
        }),
        Box::new(|| {
            let work = |pages: Arc<dyn Pages>| {
                while pages.alloc(1).is_some() {}
                Alone(move || assert!(pages.alloc(1).is_none(), "all are taken"))
            };
            case("a page refused, all taken", 1, subjects(WHOLE, work))
        }),
    ];
    cases.extend(curves::cases());
    cases
}

/// Takes and gives back.
fn pair(pages: Arc<dyn Pages>, run: u32) -> impl FnMut() + Send {
    move || {
        let first = pages.alloc(run).expect("there is room");
        pages.free(first, run);
    }
}

/// Ours as interrupt handlers use it, beside the others as they are.
fn deferred() -> Vec<Subject> {
    let mut subjects = subjects(WHOLE, |pages| Alone(pair(pages, 1)));
    subjects[0] = ours(Alone(pair(Arc::new(ours::Deferred::new(WHOLE)), 1)));
    subjects
}

/// Takes all, gives every other run back, and, of single pages, enough at the end for a longer one.
fn every_other(pages: Arc<dyn Pages>, run: u32) -> Arc<dyn Pages> {
    let taken: Vec<u32> = std::iter::from_fn(|| pages.alloc(run)).collect();
    let last = if run == 1 { taken.len() - 40 } else { taken.len() };
    for (number, first) in taken.iter().enumerate() {
        if number % 2 == 0 || number >= last {
            pages.free(*first, run);
        }
    }
    pages
}

/// Replaces pages at random, so many percent of all being taken.
fn replaced(pages: Arc<dyn Pages>, percent: usize) -> impl FnMut() + Send {
    let mut random = Random::new(1);
    let mut live = Vec::new();
    for page in std::iter::from_fn(|| pages.alloc(1)).collect::<Vec<_>>() {
        if random.below(100) < percent { live.push(page) } else { pages.free(page, 1) }
    }
    move || {
        let number = random.below(live.len());
        pages.free(live[number], 1);
        live[number] = pages.alloc(1).expect("one was just given back");
    }
}
