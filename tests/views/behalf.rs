//! What the kernel does on a program's behalf, with the numbers that the program passed: any number.

use kernel_arena::views::FaultPolicy;
use kernel_arena::{
    AllocError, AllocRequest, ArenaPtr, Context, FreeError, Owner, PageCount, ReserveError, SlotState, ViolationKind,
};

use super::{attached, index, page, seen, state};
use crate::machine::{Format, Machine};

const CONTEXTS: [Context; 2] = [Context::MayWait, Context::Any];
/// Upper halves of addresses: the program's own, the kernel's, garbage.
const UPPER: [u64; 5] = [0, 0x70, 0xffff_9000, 0xbadc_0ffe, 0xffff_ffff];

fn number(upper: u64, at: ArenaPtr) -> u64 {
    upper << 32 | u64::from(at.offset())
}

/// The last violation: where it is said to have been, as an offset.
fn violation<F: Format>(m: &Machine<F>) -> (u64, ViolationKind) {
    let violation = m.arena().take_violation().expect("it was recorded");
    assert!(m.arena().take_violation().is_none(), "once");
    (violation.address.value() - m.arena().layout().base().value(), violation.kind)
}

/// T78, T79: a pointer, a number, and an address with anything above name the same page.
fn only_the_low_half_of_an_address_counts<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Segv);
    for context in CONTEXTS {
        for upper in UPPER {
            let pages = m.arena().alloc_for_program(number(upper, page(5)), 2, context).unwrap();
            assert_eq!((pages.to_ptr(), pages.count().get()), (page(5), 2));
            m.cpu(1).user().write_u64(seen(page(6), &view), 3).unwrap();
            assert!(matches!(state(&m, page(5)), SlotState::Mapped(_, Owner::Program)));
            let upper = upper ^ 0x1234;
            assert_eq!(m.arena().free_for_program(number(upper, page(5)), 2, context), Ok(()));
            m.arena().reclaim();
            let pages = m.arena().reserve_for_program(number(upper, page(5)), 2).unwrap();
            assert_eq!((pages.to_ptr(), pages.count().get()), (page(5), 2));
            assert_eq!(state(&m, page(6)), SlotState::Reserved(Owner::Program));
            assert_eq!(m.arena().free_for_program(number(!upper & 0xffff_ffff, page(5)), 2, context), Ok(()));
        }
    }
    assert_eq!(m.arena().stats().violations, 0);
    m.detach(0, view).unwrap();
    m.finish();
}

/// T79: null stays null, whatever is above it: anywhere for an allocation, and nothing at all to be freed or reserved.
fn null_stays_null<F: Format>() {
    let m = Machine::<F>::builder().build();
    for context in CONTEXTS {
        for upper in UPPER {
            let null = upper << 32;
            let pages = m.arena().alloc_for_program(null, 1, context).unwrap();
            assert_eq!(pages.to_ptr(), page(1), "the lowest that is free");
            assert_eq!(m.arena().free_for_program(null, 1, context), Err(FreeError::Outside));
            assert_eq!(violation(&m), (0, ViolationKind::InvalidFree));
            assert_eq!(m.arena().reserve_for_program(null, 1), Err(ReserveError::Outside));
            assert_eq!(m.arena().free_for_program(number(upper, page(1)), 1, context), Ok(()));
            m.arena().reclaim();
        }
    }
    m.finish();
}

/// T3, U11 (CVE-2026-93045): a free below the arena's base, or beyond its extent, is refused and harms nothing.
fn a_free_below_the_base_or_beyond_the_extent_harms_nothing<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 2).arenas(2).build();
    let view = attached(&m, FaultPolicy::Segv);
    let kernel = m.arena().layout().base().value();
    m.alloc(2);
    let frames = m.frames_in_use();
    let full = || m.arena().alloc_for_program(0, 1, Context::MayWait).unwrap_err();
    assert!(matches!(full(), AllocError::NoSpace(_)));
    let base = view.base().address().value();
    let outside =
        [base - 0x1000, base - 0x3000, base + 0x3000, base + (1 << 32) - 0x1000, kernel - 0x1000, kernel - 0x2000];
    for (context, at) in CONTEXTS.into_iter().flat_map(|context| outside.map(|at| (context, at))) {
        assert_eq!(m.arena().free_for_program(at, 1, context), Err(FreeError::Outside), "{at:#x}");
        assert_eq!(violation(&m), (at & 0xffff_ffff, ViolationKind::InvalidFree));
        assert!(matches!(full(), AllocError::NoSpace(_)), "still full");
    }
    // From the last page on, and over the end.
    assert_eq!(m.arena().free_for_program(base + 0x2000, 2, Context::MayWait), Err(FreeError::Outside));
    assert_eq!(m.arena().free_for_program(base + 0x2000, u64::MAX, Context::MayWait), Err(FreeError::Outside));
    assert_eq!(m.arena().free_for_program(base + 0x2000, 1 << 32 | 1, Context::MayWait), Err(FreeError::Outside));
    m.arena().reclaim();
    assert_eq!(m.frames_in_use(), frames);
    m.cpu(1).user().write_u64(seen(page(2), &view), 1).unwrap();
    m.detach(0, view).unwrap();
    m.finish();
}

/// T14, T15: a null, a base and a count that the extent does not have.
fn a_range_that_is_no_range_is_not_reserved<F: Format>() {
    let m = Machine::<F>::builder().extent(1, 2).build();
    let (frames, base) = (m.frames_in_use(), 0x70_0000_0000);
    let ranges = [(0, 3), (base, 3), (base | 0x1000, 3), (base | 0x1000, 4096), (base | 0x1000, (1 << 32) - 1)];
    for (at, pages) in ranges.into_iter().chain([(base | 0x1000, 1 << 32), (base | 0x1000, 1 << 32 | 1), (0, u64::MAX)])
    {
        assert_eq!(m.arena().reserve_for_program(at, pages), Err(ReserveError::Outside), "{at:#x}, {pages}");
        for context in CONTEXTS {
            assert_eq!(m.arena().alloc_for_program(at, pages, context), Err(AllocError::Outside), "{at:#x}, {pages}");
        }
    }
    assert_eq!(m.arena().reserve_for_program(base | 0x1001, 1), Err(ReserveError::Misaligned));
    assert_eq!(m.arena().alloc_for_program(base | 0x8, 1, Context::Any), Err(AllocError::Misaligned));
    assert_eq!(m.arena().free_for_program(base | 0xfff, 1, Context::Any), Err(FreeError::Misaligned));
    assert_eq!(violation(&m), (0xfff, ViolationKind::InvalidFree));
    assert_eq!(m.arena().reserve_for_program(base | 0x1000, 0), Err(ReserveError::ZeroPages));
    assert_eq!(m.arena().alloc_for_program(base | 0x1000, 0, Context::Any), Err(AllocError::ZeroPages));
    assert_eq!(m.arena().alloc_for_program(0, 0, Context::Any), Err(AllocError::ZeroPages));
    assert_eq!(m.arena().free_for_program(base | 0x1000, 0, Context::Any), Err(FreeError::ZeroPages));
    assert_eq!((m.frames_in_use(), m.arena().stats().claimed_pages), (frames, 0));
    m.finish();
}

/// I7: nothing of the kernel's or an allocator's goes, in part or whole, allocated or reserved.
fn a_program_frees_nothing_that_is_not_its_own<F: Format>() {
    let m = Machine::<F>::builder().build();
    for context in CONTEXTS {
        for owner in [Owner::Kernel, Owner::Allocator] {
            let own = m.arena().alloc_for_program(number(0x70, page(4)), 2, context).unwrap();
            let theirs = AllocRequest::new(PageCount::ONE, owner).exactly_at(page(6));
            m.arena().alloc_pages(theirs).unwrap();
            m.arena().reserve_pages(page(7), PageCount::ONE, owner).unwrap();
            m.write(0, page(6), 77).unwrap();
            for (at, pages, theirs) in [(4, 3, 6), (6, 1, 6), (6, 2, 6), (7, 1, 7), (5, 3, 6)] {
                let refused = Err(FreeError::NotOwner { page: index(theirs), owner });
                assert_eq!(m.arena().free_for_program(number(0x70, page(at)), pages, context), refused);
                assert_eq!(violation(&m), (u64::from(at) << 12, ViolationKind::InvalidFree));
            }
            assert_eq!(m.read(1, page(6)), Ok(77));
            assert!(matches!(state(&m, page(5)), SlotState::Mapped(_, Owner::Program)), "nothing was half done");
            assert_eq!(m.arena().free_for_program(number(0, own.to_ptr()), 2, context), Ok(()));
            let twice = m.arena().free_for_program(number(0, own.to_ptr()), 2, context);
            assert_eq!(twice, Err(FreeError::NotAllocated { page: index(4) }));
            assert_eq!(violation(&m).1, ViolationKind::InvalidFree);
            m.arena().free_pages(page(6), PageCount::new(2).unwrap(), owner).unwrap();
            m.arena().reclaim();
        }
    }
    m.finish();
}

fn what_may_not_wait_does_not<F: Format>() {
    let m = Machine::<F>::builder().build();
    m.attach_view(0, 1);
    m.write(0, page(1), 1).unwrap();
    m.take_flushes();
    let tainted = m.arena().alloc_for_program(number(0x70, page(1)), 1, Context::Any);
    assert_eq!(tainted, Err(AllocError::Tainted { page: index(1) }));
    let pages = m.arena().alloc_for_program(0, 3, Context::Any).unwrap();
    assert_ne!(pages.to_ptr(), page(1));
    m.arena().free_for_program(number(0, pages.to_ptr()), 3, Context::Any).unwrap();
    assert_eq!(m.take_flushes(), []);
    assert_eq!(m.arena().stats().deferred_pages, 3);
    assert_eq!(m.arena().reclaim().freed_pages, 3);
    assert_eq!(m.arena().alloc_for_program(number(0x70, page(1)), 1, Context::MayWait).map(|_| ()), Ok(()));
    m.finish();
}

each_format!(
    only_the_low_half_of_an_address_counts,
    null_stays_null,
    a_free_below_the_base_or_beyond_the_extent_harms_nothing,
    a_range_that_is_no_range_is_not_reserved,
    a_program_frees_nothing_that_is_not_its_own,
    what_may_not_wait_does_not,
);
