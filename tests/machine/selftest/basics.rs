//! An arena's life on the machine, from end to end.

use kernel_arena::platform::NodeId;
use kernel_arena::{AllocError, AllocRequest, ArenaPtr, Context, CreateError, Owner, PageCount, ReserveError};

use super::super::{Format, Machine, TlbMode, count};

fn an_arena_takes_its_table_frames_and_gives_all_of_them_back<F: Format>() {
    let m = Machine::<F>::builder().arenas(2).build();
    let each = m.arena().layout().table_frames().get() as usize;
    assert_eq!(m.frames_in_use(), 2 * each);
    assert_ne!(m.arena().layout().base(), m.arena_at(1).layout().base());
    assert_eq!(m.finish(), 0);
}

fn creation_that_fails_at_any_frame_loses_none<F: Format>() {
    let bare = Machine::<F>::builder().arenas(0).extent(500, 1000);
    for n in 0.. {
        let m = bare.clone().build();
        m.fail_frame(Some(n));
        match m.create_arena() {
            Err(error) => assert_eq!(error, CreateError::OutOfFrames),
            Ok(_) => {
                assert_eq!(n, m.frame_calls());
                assert_eq!(n, m.arena().layout().table_frames().get());
                m.fail_frame(None);
                m.finish();
                return;
            }
        }
        assert_eq!(m.frames_in_use(), 0, "at frame {n}");
        m.finish();
    }
}

fn a_page_is_zeroed_written_read_and_freed<F: Format>() {
    let m = Machine::<F>::builder().build();
    let before = m.frames_in_use();
    let page = m.alloc(1);
    assert_eq!(m.frames_in_use(), before + 1);
    for byte in (0..0x1000).step_by(8) {
        assert_eq!(m.read(1, ArenaPtr::new(page.offset() + byte).unwrap()), Ok(0));
    }
    m.write(0, page, 0x0123_4567_89ab_cdef).unwrap();
    assert_eq!(m.read(1, page), Ok(0x0123_4567_89ab_cdef));
    assert_eq!(m.peek(m.at(page)), Some(0x0123_4567_89ab_cdef));
    assert_eq!(m.exceptions(), 0);
    m.free(page, 1);
    assert_eq!(m.frames_in_use(), before);
    assert_eq!(m.frame_of(m.at(page)), None);
    assert_eq!(m.take_flushes().len(), 1);
    assert_eq!(m.finish(), 0);
}

fn pages_left_allocated_come_back_with_the_arena<F: Format>() {
    let m = Machine::<F>::builder().build();
    let pages = m.alloc(5);
    m.arena().free_pages_deferred(pages, PageCount::ONE, Owner::Program).unwrap();
    assert_eq!(m.finish(), 5);
}

fn allocation_without_frames_fails_and_keeps_none<F: Format>() {
    let m = Machine::<F>::builder().build();
    let before = m.frames_in_use();
    m.limit_frames(before + 3);
    let request = AllocRequest::new(count(4), Owner::Kernel).on_node(NodeId::new(3));
    assert_eq!(m.arena().alloc_pages(request), Err(AllocError::OutOfFrames));
    assert_eq!(m.last_node(), Some(NodeId::new(3)));
    assert_eq!(m.frames_in_use(), before);
    m.alloc(3);
    m.finish();
}

fn reclaim_heals_scratch_and_finishes_deferred_frees<F: Format>() {
    let m = Machine::<F>::builder().build();
    let pages = m.alloc(2);
    m.free(pages, 2);
    m.write(1, pages, 7).unwrap();
    assert_eq!(m.read(0, pages), Ok(7), "until it is healed");
    let queued = m.alloc(1);
    m.arena().free_pages_deferred(queued, PageCount::ONE, Owner::Program).unwrap();
    let done = m.arena().reclaim();
    assert_eq!((done.freed_pages, done.healed_pages), (1, 1));
    assert_eq!(m.frame_of(m.at(pages)), None);
    assert_eq!(m.read(0, pages), Ok(0), "a violation again, and zeroed");
    assert_eq!(m.arena().stats().violations, 2);
    m.finish();
}

fn a_page_that_holds_scratch_is_healed_by_an_allocation_that_may_wait<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 1).build();
    let page = m.alloc(1);
    m.free(page, 1);
    m.write(1, page, 7).unwrap();
    m.arena().reserve_pages(page, PageCount::ONE, Owner::Kernel).unwrap();
    let taken = m.arena().reserve_pages(page, PageCount::ONE, Owner::Kernel);
    assert!(matches!(taken, Err(ReserveError::Taken { .. })));
    m.arena().free_pages(page, PageCount::ONE, Owner::Kernel).unwrap();
    m.write(1, page, 7).unwrap();
    let any = AllocRequest::new(PageCount::ONE, Owner::Program).in_context(Context::Any);
    assert!(matches!(m.arena().alloc_pages(any), Err(AllocError::NoSpace(_))));
    assert_eq!(m.alloc(1), page);
    assert_eq!(m.read(1, page), Ok(0));
    m.finish();
}

fn a_large_extent_works_too<F: Format>() {
    let m = Machine::<F>::builder().extent(1000, 20_000).frames(300).tlb(TlbMode::Random).build();
    let pages = m.alloc(130);
    m.write(1, pages, 9).unwrap();
    m.free(pages, 130);
    assert_eq!(m.take_flushes().len(), 3, "one for each 64 pages");
    m.write(0, pages, 9).unwrap();
    m.finish();
}

each_format!(
    an_arena_takes_its_table_frames_and_gives_all_of_them_back,
    creation_that_fails_at_any_frame_loses_none,
    a_page_is_zeroed_written_read_and_freed,
    pages_left_allocated_come_back_with_the_arena,
    allocation_without_frames_fails_and_keeps_none,
    reclaim_heals_scratch_and_finishes_deferred_frees,
    a_page_that_holds_scratch_is_healed_by_an_allocation_that_may_wait,
    a_large_extent_works_too,
);
