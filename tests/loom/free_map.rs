//! The map of free bits: what a search leaves for the next one never hides what was given back.
//!
//! Guards the order of an un-claim (the bits, then the bound), the mark that a search leaves before it reads, and that a
//! mark which was spoiled becomes no bound; with the two fences that stand for `SeqCst` here. The map is a region's, of two
//! blocks of 128 pages. A region touches none of its pages.

use std::mem::MaybeUninit;
use std::sync::Arc;

use kernel_arena::platform::{CpuCount, CpuIdentity, CpuLevel};
use kernel_arena::source::{PageSource, Region, region_words};
use kernel_arena::{MetadataWord, PageCount, PageIndex, PageRange};

use crate::explore::{explore_without_arena, preemptions};
use crate::race::{race, race_of_three};

/// Pages of a block, in a model.
const BLOCK: u32 = 128;
const PAGES: u32 = 2 * BLOCK;

struct Nobody;

impl CpuIdentity for Nobody {
    fn current(&self) -> Option<CpuLevel> {
        None
    }

    fn count(&self) -> CpuCount {
        CpuCount::ONE
    }
}

/// A region whose pages are all taken.
fn full() -> Arc<Region<Nobody>> {
    let words: Vec<MaybeUninit<MetadataWord>> =
        (0..region_words(PAGES as usize)).map(|_| MaybeUninit::uninit()).collect();
    let start = std::ptr::without_provenance_mut(1 << 20);
    // SAFETY: nobody touches the pages; saying nothing about CPUs is always right.
    let region = unsafe { Region::at(start, PAGES as usize, words.leak(), Nobody) };
    take(&region, PAGES).expect("all of it is free");
    Arc::new(region)
}

fn take(region: &Region<Nobody>, count: u32) -> Option<PageRange> {
    region.alloc_pages(PageCount::new(count).expect("fits"), PageCount::ONE).ok()
}

/// Gives back pages by their numbers from 0 on.
fn give(region: &Region<Nobody>, first: u32, count: u32) {
    let first = PageIndex::new(first + 1).expect("fits");
    let pages = PageRange::new(first, PageCount::new(count).expect("fits")).expect("fits");
    // SAFETY: all were taken, and nobody uses them.
    unsafe { region.free_pages(pages) };
}

#[test]
fn what_was_given_back_during_a_search_is_found_by_the_next() {
    explore_without_arena("free against a search", preemptions(3), 2, |first| {
        let region = full();
        let ((), found) = race(first, &region, |region| give(region, 5, 2), |region| take(region, 2));
        assert!(found.is_some() || take(&region, 2).is_some(), "a bound hides what was given back before");
    });
}

#[test]
fn a_run_over_two_blocks_is_found_when_both_halves_are_back() {
    explore_without_arena("two frees against a search", preemptions(2), 3, |first| {
        let region = full();
        let ((), (), found) = race_of_three(
            first,
            &region,
            |region| give(region, BLOCK - 1, 1),
            |region| give(region, BLOCK, 1),
            |region| take(region, 2),
        );
        assert!(found.is_some() || take(&region, 2).is_some(), "a bound hides what was given back before");
    });
}
