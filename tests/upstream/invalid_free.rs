//! Frees of what is not the caller's to free: each is an error with a reason, is recorded, and changes nothing. Upstream lets
//! all of them pass: it frees what there is in the range, whosever it is, and ignores the rest.

use std::cell::Cell;
use std::rc::Rc;

use kernel_arena::platform::CpuId;
use kernel_arena::{
    AllocRequest, ArenaPtr, FreeError, InstructionAddr, Owner, PageCount, ProgramId, Violation, ViolationKind,
    WINDOW_PAGES,
};

use super::{Free, defer, free, index, page, picture, request, reserve};
use crate::machine::{Format, Machine, Point, count};

/// A free that is not to be done.
struct Bad {
    at: ArenaPtr,
    pages: u32,
    owner: Owner,
    error: FreeError,
}

fn bad(at: ArenaPtr, pages: u32, owner: Owner, error: FreeError) -> Bad {
    Bad { at, pages, owner, error }
}

/// Both ways of freeing refuse it, and a violation names the address, the CPU and the program.
fn is_refused_and_recorded<F: Format>(m: &Machine<F>, free: &Bad) {
    let Bad { at, pages, owner, error } = *free;
    for deferred in [false, true] {
        let before = picture(m);
        let sequence = m.arena().stats().violations;
        m.take_flushes();
        let freed = m.on_cpu(1, || {
            let _scope = m.arena().work_for(ProgramId::new(7));
            match deferred {
                false => m.arena().free_pages(at, count(pages), owner),
                true => m.arena().free_pages_deferred(at, count(pages), owner),
            }
        });
        assert_eq!(freed, Err(error), "{at:?} {pages} {owner:?}");
        assert_eq!(picture(m), before);
        assert_eq!(m.take_flushes(), []);
        let violation = Violation {
            address: m.at(at),
            kind: ViolationKind::InvalidFree,
            instruction: InstructionAddr::new(0),
            bytecode: None,
            cpu: Some(CpuId::new(1)),
            program: ProgramId::new(7),
            sequence,
        };
        assert_eq!(m.arena().take_violation(), Some(violation));
    }
    assert_eq!(m.arena().take_violation(), None);
}

/// N15: double frees.
fn what_was_freed_is_not_freed_again<F: Format>() {
    for freed in [free::<F>, defer::<F>] {
        let m = Machine::<F>::builder().build();
        assert_eq!(m.alloc(6), page(1));
        assert_eq!(freed(&m, page(3), 2), Ok(()));
        let error = |number| FreeError::NotAllocated { page: index(number) };
        for (first, pages, missing) in [(3, 1, 3), (3, 2, 3), (4, 1, 4), (2, 2, 3), (1, 6, 3), (4, 3, 4)] {
            is_refused_and_recorded(&m, &bad(page(first), pages, Owner::Program, error(missing)));
        }
        m.arena().reclaim();
        is_refused_and_recorded(&m, &bad(page(1), 6, Owner::Program, error(3)));
        assert_eq!(m.finish(), 4);
    }
}

/// N15: wild frees.
fn what_was_never_allocated_is_not_freed<F: Format>() {
    let m = Machine::<F>::builder().extent(600, 20).build();
    assert_eq!(m.alloc(4), page(600));
    m.write(0, page(610), 1).unwrap();
    assert!(m.arena().take_violation().is_some());
    let error = |number| FreeError::NotAllocated { page: index(number) };
    let wild = [
        bad(page(604), 1, Owner::Program, error(604)),
        bad(page(603), 2, Owner::Program, error(604)),
        bad(page(610), 1, Owner::Program, error(610)),
        bad(page(599), 1, Owner::Program, FreeError::Outside),
        bad(page(599), 2, Owner::Program, FreeError::Outside),
        bad(page(619), 2, Owner::Program, FreeError::Outside),
        bad(page(620), 1, Owner::Program, FreeError::Outside),
        bad(page(1), 1, Owner::Program, FreeError::Outside),
        bad(page(1), WINDOW_PAGES, Owner::Program, FreeError::Outside),
        bad(page(600), WINDOW_PAGES, Owner::Program, FreeError::Outside),
        bad(page(600), 0, Owner::Program, FreeError::ZeroPages),
        bad(ArenaPtr::new((600 << 12) + 1).unwrap(), 1, Owner::Program, FreeError::Misaligned),
        bad(ArenaPtr::new((600 << 12) + 0xfff).unwrap(), 1, Owner::Program, FreeError::Misaligned),
    ];
    wild.iter().for_each(|free| is_refused_and_recorded(&m, free));
    assert_eq!(m.finish(), 4);
}

/// N15: others' pages. N12 is this for the pages of allocators that stand on the arena.
fn anothers_pages_are_not_freed<F: Format>() {
    let m = Machine::<F>::builder().build();
    let owners = [Owner::Program, Owner::Kernel, Owner::Allocator];
    for (first, owner) in (1..).step_by(3).zip(owners) {
        let mine = AllocRequest::new(count(2), owner).exactly_at(page(first));
        assert!(m.arena().alloc_pages(mine).is_ok());
        assert_eq!(m.arena().reserve_pages(page(first + 2), PageCount::ONE, owner), Ok(()));
    }
    for (first, owner) in (1..).step_by(3).zip(owners) {
        for other in owners.into_iter().filter(|other| *other != owner) {
            let error = |number| FreeError::NotOwner { page: index(number), owner };
            is_refused_and_recorded(&m, &bad(page(first), 1, other, error(first)));
            is_refused_and_recorded(&m, &bad(page(first + 2), 1, other, error(first + 2)));
        }
    }
    let error = FreeError::NotOwner { page: index(4), owner: Owner::Kernel };
    is_refused_and_recorded(&m, &bad(page(2), 4, Owner::Program, error));
    // A reserved page that holds scratch is its owner's all the same.
    m.write(0, page(3), 1).unwrap();
    assert!(m.arena().take_violation().is_some());
    let error = FreeError::NotOwner { page: index(3), owner: Owner::Program };
    is_refused_and_recorded(&m, &bad(page(3), 1, Owner::Kernel, error));
    m.free(page(1), 3);
    assert_eq!(m.finish(), 4);
}

/// N15: in the middle of the free that is under way, too.
fn what_is_being_freed_is_not_freed_again<F: Format>() {
    for moment in [Point::BeforeFlush, Point::AfterFlush, Point::FrameFree] {
        let m = Machine::<F>::builder().build();
        assert_eq!(m.alloc(1), page(1));
        m.hook(moment, |m| {
            let error = FreeError::NotAllocated { page: index(1) };
            assert_eq!(free(m, page(1), 1), Err(error));
            assert_eq!(defer(m, page(1), 1), Err(error));
        });
        m.free(page(1), 1);
        m.clear_hooks();
        assert_eq!(m.arena().stats().violations, 2);
        m.finish();
    }
}

/// I6: of two frees that meet, one frees a page, and both together free every page once.
fn of_two_frees_that_meet_one_frees_each_page<F: Format>() {
    let pairs: [(Free<F>, Free<F>); 4] = [(free, free), (free, defer), (defer, free), (defer, defer)];
    for (ours, theirs) in pairs {
        let mut raced = 0;
        for point in 0.. {
            let m = Machine::<F>::builder().extent(1, 6).build();
            let tables = m.frames_in_use();
            assert_eq!(m.alloc(3), page(1));
            assert_eq!(reserve(&m, page(4), 1), Ok(()));
            let result = Rc::new(Cell::new(None));
            let told = Rc::clone(&result);
            m.interrupt_at(point, move |m| m.on_cpu(1, || told.set(Some(theirs(m, page(2), 1)))));
            let freed = ours(&m, page(1), 4);
            let not_allocated = Err(FreeError::NotAllocated { page: index(2) });
            let left = match (result.get(), freed) {
                (None, Ok(())) => 0,
                (Some(theirs), Ok(())) => {
                    assert_eq!(theirs, not_allocated);
                    0
                }
                (Some(Ok(())), Err(FreeError::Raced { freed })) => {
                    assert_eq!(freed, count(3));
                    raced += 1;
                    0
                }
                (Some(Ok(())), ours) => {
                    assert_eq!(ours, not_allocated, "before the first look");
                    3
                }
                other => panic!("{other:?}"),
            };
            m.clear_hooks();
            m.arena().reclaim();
            assert_eq!(m.arena().stats().claimed_pages, left);
            assert_eq!(m.frames_in_use(), tables + if left == 3 { 2 } else { 0 });
            m.finish();
            if result.get().is_none() {
                break;
            }
        }
        assert!(raced > 0, "they never met");
    }
}

/// A free after the page was allocated again to the same owner is that owner's: an address cannot tell.
fn a_stale_free_of_the_same_owners_page_is_a_free<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 1).build();
    m.alloc(1);
    m.free(page(1), 1);
    assert!(m.arena().alloc_pages(request(1)).is_ok());
    m.free(page(1), 1);
    assert_eq!(m.finish(), 0);
}

each_format!(
    what_was_freed_is_not_freed_again,
    what_was_never_allocated_is_not_freed,
    anothers_pages_are_not_freed,
    what_is_being_freed_is_not_freed_again,
    of_two_frees_that_meet_one_frees_each_page,
    a_stale_free_of_the_same_owners_page_is_a_free,
);
