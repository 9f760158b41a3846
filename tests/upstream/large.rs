//! Large arenas: the whole window less its page 0, the order in which gaps are filled, and thousands of pages in one call.

use kernel_arena::{AllocError, ArenaPtr, KernelAddr, PageCount, PageIndex, PageRange, WINDOW_PAGES, WINDOW_SIZE};

use super::{NOTHING, alloc, defer, free, guard, page, refused, request, reserve};
use crate::machine::{Format, Machine, TlbMode};

const LAST: ArenaPtr = ArenaPtr::new(0xffff_f000).unwrap();

/// T27, with an extent of 4 GiB less a page. Globals on its first page, as upstream has them.
fn both_ends_of_4_gib_can_be_had<F: Format>() {
    let (tables, pages) = (2048 + 7, WINDOW_PAGES - 1);
    let builder = Machine::<F>::builder().extent(1, pages).frames(tables + 8).tlb(TlbMode::Lazy);
    let m = builder.build();
    assert_eq!(m.frames_in_use(), tables);
    let globals = alloc(&m, request(1).exactly_at(page(1)));
    assert_eq!(globals, Ok(page(1)));
    assert_eq!(m.alloc(1), page(2), "right after the globals");
    m.write(0, page(2), 1).unwrap();
    assert_eq!(alloc(&m, request(1).exactly_at(LAST)), Ok(LAST));
    m.write(1, LAST, 2).unwrap();

    // Upstream's pointer to the end of the arena wraps to the globals. Here a pointer has 32 bits, and no page is at 0.
    let end = KernelAddr::new(m.arena().layout().base().value() + WINDOW_SIZE);
    assert!(m.arena().layout().to_ptr::<u8>(end).is_err());
    assert_eq!(ArenaPtr::<u8>::new(LAST.offset().wrapping_add(4096)), None);
    assert_eq!(PageRange::new(PageIndex::containing(LAST), PageCount::new(2).unwrap()), None);
    assert_eq!(alloc(&m, request(2).exactly_at(LAST)), Err(AllocError::Outside));

    m.free(page(2), 1);
    assert_eq!([m.read(1, page(2)), m.read(0, LAST)], [Ok(0), Ok(2)]);
    m.arena().reclaim();
    assert_eq!(m.alloc(1), page(2), "the same once it is healed");
    assert_eq!(m.read(1, page(2)), Ok(0));
    for neighbour in [page(1), page(3), page(WINDOW_PAGES - 2)] {
        assert_eq!(m.read(0, neighbour), Ok(0), "{neighbour:?}");
    }
    assert_eq!(m.cpu(0).read_u64(guard(&m)), Ok(0));
    assert_eq!(m.frames_in_use(), tables + 3);
    m.validate();
    // Not `finish`: destroying a million slots, each of which the machine looks at, takes half a minute.
}

/// T28. Placement is by number alone: the lowest pages that fit.
fn gaps_are_filled_lowest_first<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 200).build();
    let nth = |n: u32| page(1 + n);
    for n in 0..100 {
        assert_eq!(m.alloc(1), nth(n));
        m.write(0, nth(n), n.into()).unwrap();
    }
    (0..100).step_by(2).for_each(|n| m.free(nth(n), 1));
    for n in (0..100).step_by(2) {
        assert_eq!(m.alloc(1), nth(n));
        m.write(1, nth(n), u64::from(n) + 1000).unwrap();
    }
    assert_eq!(m.alloc(1), nth(100), "no gap is left");
    for n in 0..100 {
        let written = u64::from(n) + if n % 2 == 0 { 1000 } else { 0 };
        assert_eq!(m.read(0, nth(n)), Ok(written));
    }
    (0..100).step_by(4).for_each(|n| m.free(nth(n), 2));
    for n in (0..100).step_by(4) {
        assert_eq!(m.alloc(2), nth(n));
    }
    assert_eq!(m.alloc(1), nth(101));
    assert_eq!(m.alloc(2), nth(102));
    m.finish();
}

/// T29. Upstream handles pages in batches of 1024; there are no such batches here.
fn thousands_of_pages_can_be_had_in_one_call<F: Format>() {
    const PAGES: u32 = 2051;
    for freed in [free::<F>, defer::<F>] {
        let m = Machine::<F>::builder().extent(1, 3000).frames(2100).tlb(TlbMode::Random).build();
        let before = m.frames_in_use();
        let each = |n: u32| page(1 + n);
        assert_eq!(m.alloc(PAGES), each(0));
        for n in 0..PAGES {
            assert_eq!(m.read(0, each(n)), Ok(0));
            m.write(0, each(n), u64::from(n) + 1).unwrap();
        }
        assert_eq!(m.frames_in_use(), before + PAGES as usize);
        assert_eq!(freed(&m, each(0), 1025), Ok(()));
        m.arena().reclaim();
        assert_eq!(m.frames_in_use(), before + 1026);
        assert!((1025..PAGES).all(|n| m.read(1, each(n)) == Ok(u64::from(n) + 1)));
        assert_eq!(m.arena().stats().violations, 0);
        assert_eq!(alloc(&m, request(1025)), Ok(each(0)));
        assert!((0..1025).all(|n| m.read(1, each(n)) == Ok(0)));
        assert_eq!(m.finish(), PAGES);
    }
}

/// T29: so many pages that frames run out half-way leave no trace, and where there is no room no frame is even asked for.
fn thousands_of_pages_that_cannot_be_had_leave_no_trace<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 3000).frames(2000).tlb(TlbMode::Lazy).build();
    assert_eq!(refused(&m, || alloc(&m, request(2051))), AllocError::OutOfFrames);
    assert_eq!(m.alloc(1900), page(1));
    assert_eq!(refused(&m, || alloc(&m, request(1100))), AllocError::OutOfFrames);
    let asked = m.frame_calls();
    assert_eq!(refused(&m, || alloc(&m, request(1101))), AllocError::NoSpace(NOTHING));
    assert_eq!(reserve(&m, page(1901), 1100), Ok(()), "reserving takes no frames");
    assert_eq!(refused(&m, || alloc(&m, request(64))), AllocError::NoSpace(NOTHING));
    assert_eq!(m.frame_calls(), asked);
    m.free(page(1), 3000);
    assert_eq!(m.alloc(1900), page(1));
    m.finish();
}

/// Where there are so many words of marks that it is noted which have any: the first mark of a word is noted, too.
fn a_page_that_holds_scratch_is_passed_over_however_large_the_extent<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 5000).frames(100).build();
    m.write(0, page(1), 7).unwrap();
    m.take_flushes();
    assert_eq!(m.alloc(1), page(2));
    assert_eq!(m.take_flushes(), [], "nothing is healed for it");
    assert_eq!(m.finish(), 1);
}

each_format!(
    a_page_that_holds_scratch_is_passed_over_however_large_the_extent,
    both_ends_of_4_gib_can_be_had,
    gaps_are_filled_lowest_first,
    thousands_of_pages_can_be_had_in_one_call,
    thousands_of_pages_that_cannot_be_had_leave_no_trace,
);
