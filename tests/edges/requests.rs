//! What a source of at least 49 pages, or of none, says to every request.

use kernel_arena::source::PageSource;
use kernel_arena::{AllocError, PageCount, PageIndex, PageRange, WINDOW_PAGES};

/// Whatever numbers a caller has, a source refuses them in the same words, or hands out what was asked for, aligned.
pub(crate) fn answers_every_request(source: &impl PageSource) {
    let edges = [0, 1, 2, 3, 4, 7, 63, 64, 65, 99, 100, 101, 128, 512, WINDOW_PAGES - 1, WINDOW_PAGES];
    let pages = |count: u32| PageCount::new(count).unwrap();
    let base = source.base().addr();
    for count in edges {
        // A run of that length goes first, so that one is remembered if the source remembers any.
        if let Ok(run) = source.alloc_pages(pages(count), PageCount::ONE) {
            // SAFETY: taken just now, used by nobody.
            unsafe { source.free_pages(run) };
        }
        for align in edges {
            let taken = source.alloc_pages(pages(count), pages(align));
            match taken {
                Err(AllocError::ZeroPages) => assert_eq!(count, 0),
                Err(AllocError::BadAlignment) => assert!(count > 0 && !align.is_power_of_two()),
                Err(error) => {
                    assert!(count > 0 && align.is_power_of_two());
                    assert!(matches!(error, AllocError::NoSpace(_)), "{error:?}");
                    let large = count.max(align) > 49;
                    assert!(large || source.extent().is_empty(), "{count} pages aligned to {align}: {error:?}");
                }
                Ok(run) => {
                    assert!(align.is_power_of_two() && run.count().get() == count && count > 0);
                    assert!(source.extent().covers(run));
                    assert_eq!((base + run.to_ptr().offset() as usize) % (align as usize * 4096), 0);
                    // SAFETY: taken just now, used by nobody.
                    unsafe { source.free_pages(run) };
                }
            }
        }
    }
    for first in [0, 1, 50, 99, 100, 101, WINDOW_PAGES - 1] {
        for count in edges {
            let Some(range) = PageRange::new(PageIndex::new(first).unwrap(), pages(count)) else { continue };
            assert!(!source.extend(range, PageCount::ZERO), "no page follows {range:?}");
            for by in edges.into_iter().filter(|by| *by > 0) {
                let next = first + count;
                let fits = PageIndex::new(next)
                    .and_then(|next| PageRange::new(next, pages(by)))
                    .is_some_and(|tail| source.extent().covers(tail));
                assert_eq!(source.extend(range, pages(by)), fits, "{by} pages after {range:?}");
                if let Some(tail) =
                    PageIndex::new(next).and_then(|next| PageRange::new(next, pages(by))).filter(|_| fits)
                {
                    // SAFETY: taken just now, used by nobody.
                    unsafe { source.free_pages(tail) };
                }
            }
        }
    }
}
