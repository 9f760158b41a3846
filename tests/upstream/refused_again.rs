//! Refusals of an extent that is too large to be looked at slot by slot: one that is taken for granted, because nothing was
//! given back since, is what a search would have found.

use kernel_arena::{AllocError, AllocRequest, Context, Owner};

use super::{alloc, defer, page, request, reserve};
use crate::machine::{Format, Machine, Random, count};

/// Pages of the extent: slots are looked at up to 512.
const PAGES: u32 = 600;

/// What a page is, as far as the judge knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    Free,
    Scratched,
    Taken,
    Reserved,
    Queued,
}

/// The lowest run of pages for which `suits`.
fn run(pages: &[Page], length: u32, suits: impl Fn(Page) -> bool) -> bool {
    pages.windows(length as usize).any(|run| run.iter().all(|page| suits(*page)))
}

/// Whatever was allocated, reserved, freed, deferred or scratched since a refusal, the next one is right, and so is whatever is
/// not refused.
fn every_refusal_is_right<F: Format>() {
    for seed in 1..=4 {
        let (random, m) = (Random::new(seed), Machine::<F>::builder().extent(1, PAGES).frames(1024).build());
        let mut pages = vec![Page::Free; PAGES as usize];
        let (mut refused, mut granted) = (0, 0);
        for _ in 0..3000 {
            let at = u32::try_from(random.below(PAGES.into())).unwrap();
            let (first, seen) = (page(at + 1), pages[at as usize]);
            match (random.below(12), seen) {
                (0..=6, _) => {
                    let length = [1, 1, 1, 2, 3, 17][usize::try_from(random.below(6)).unwrap()];
                    let context = if random.one_in(2) { Context::Any } else { Context::MayWait };
                    let suits = |page| page == Page::Free || page == Page::Scratched && context == Context::MayWait;
                    let there_is = run(&pages, length, suits);
                    match alloc(&m, request(length).in_context(context)) {
                        Ok(taken) => {
                            let taken = taken.offset() as usize / 4096 - 1;
                            for page in &mut pages[taken..][..length as usize] {
                                assert!(suits(*page), "it was taken, or holds scratch");
                                *page = Page::Taken;
                            }
                            granted += 1;
                        }
                        Err(AllocError::NoSpace(waiting)) => {
                            assert!(!there_is, "there was a run of {length}");
                            let queued = pages.iter().filter(|page| **page == Page::Queued).count();
                            let scratched = pages.iter().filter(|page| **page == Page::Scratched).count();
                            assert_eq!((waiting.deferred as usize, waiting.tainted as usize), (queued, scratched));
                            refused += 1;
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                (7, Page::Taken) => {
                    m.free(first, 1);
                    pages[at as usize] = Page::Free;
                }
                (8, Page::Taken) => {
                    assert_eq!(defer(&m, first, 1), Ok(()));
                    pages[at as usize] = Page::Queued;
                }
                (9, Page::Reserved) => {
                    m.free(first, 1);
                    pages[at as usize] = Page::Free;
                }
                (9, Page::Free) => {
                    assert_eq!(reserve(&m, first, 1), Ok(()));
                    pages[at as usize] = Page::Reserved;
                }
                (10, Page::Free) => {
                    m.write(0, first, 1).unwrap();
                    pages[at as usize] = Page::Scratched;
                }
                (11, _) if random.one_in(20) => {
                    m.arena().reclaim();
                    for page in pages.iter_mut().filter(|page| matches!(page, Page::Queued | Page::Scratched)) {
                        *page = Page::Free;
                    }
                }
                _ => {}
            }
        }
        assert!(refused > 100 && granted > 100, "{refused} refused, {granted} granted");
        m.finish();
    }
}

/// A refusal says nothing of shorter runs, nor an aligned one of others.
fn a_refusal_is_for_runs_as_long<F: Format>() {
    let m = Machine::<F>::builder().extent(1, PAGES).frames(1024).build();
    assert_eq!(m.alloc(PAGES - 2), page(1));
    let aligned = |pages| AllocRequest::new(count(pages), Owner::Program).aligned(count(512));
    for _ in 0..2 {
        assert!(matches!(alloc(&m, aligned(1)), Err(AllocError::NoSpace(_))));
        assert!(matches!(alloc(&m, request(3)), Err(AllocError::NoSpace(_))));
        assert!(matches!(alloc(&m, aligned(3)), Err(AllocError::NoSpace(_))));
    }
    assert_eq!(alloc(&m, request(2)), Ok(page(PAGES - 1)));
    m.finish();
}

each_format!(every_refusal_is_right, a_refusal_is_for_runs_as_long);
