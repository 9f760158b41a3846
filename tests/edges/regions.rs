//! A region hands out each page once, lowest first, aligned by address, and extends runs where they are.

use kernel_arena::source::PageSource;
use kernel_arena::{AllocError, PAGE_SHIFT, PageCount, PageIndex, PageRange};

use super::region;

fn pages(count: u32) -> PageCount {
    PageCount::new(count).unwrap()
}

#[test]
fn every_page_is_handed_out_once_and_comes_back() {
    let region = region(100);
    let all: Vec<_> = core::iter::from_fn(|| region.alloc_pages(PageCount::ONE, PageCount::ONE).ok()).collect();
    let numbers: Vec<u32> = all.iter().map(|range| range.first().number()).collect();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    assert_eq!(region.taken_pages(), 100);
    for range in all {
        // SAFETY: each was handed out above, and nobody uses it.
        unsafe { region.free_pages(range) };
    }
    assert_eq!(region.taken_pages(), 0);
    assert_eq!(region.alloc_pages(pages(100), PageCount::ONE).unwrap(), region.extent());
}

#[test]
fn runs_are_aligned_by_address_and_extended_in_place() {
    let region = region(64);
    let run = region.alloc_pages(pages(4), pages(8)).unwrap();
    assert_eq!((region.base().addr() + run.to_ptr().offset() as usize) % (8 << PAGE_SHIFT), 0);
    assert!(region.extend(run, pages(4)));
    assert!(!region.extend(run, PageCount::ONE), "taken a moment ago");
    assert!(!region.extend(PageRange::new(run.first(), pages(8)).unwrap(), pages(60)), "beyond the end");
    assert_eq!(region.taken_pages(), 8);
    assert_eq!(PageRange::new(PageIndex::new(0).unwrap(), PageCount::ZERO), None, "page 0 is nobody's");
    assert!(matches!(region.alloc_pages(pages(60), PageCount::ONE), Err(AllocError::NoSpace(_))));
    assert_eq!(region.alloc_pages(PageCount::ZERO, PageCount::ONE), Err(AllocError::ZeroPages));
    assert_eq!(region.alloc_pages(PageCount::ONE, pages(3)), Err(AllocError::BadAlignment));
}
