//! What a program may do in a view, by the view's rights and by whose the page is.

use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, Refusal, ViewRights};
use kernel_arena::{AllocRequest, Context, Owner, PageCount, SlotState};

use super::{POLICIES, attached, fault, page, refused, seen, state};
use crate::machine::{Cause, Format, Kind, Machine};

fn a_read_only_view_is_read_and_the_same_page_is_written_elsewhere<F: Format>() {
    for policy in POLICIES {
        let m = Machine::<F>::builder().build();
        let at = m.alloc(1);
        let view = m.attach(0, m.lend(0, 1), ViewRights::ReadOnly, policy).unwrap();
        let other = m.attach(0, m.lend(0, 1), ViewRights::ReadWrite, policy).unwrap();
        m.cpu(1).switch_to(1);
        let user = || m.cpu(1).user();
        user().write_u64(seen(at, &other), 3).unwrap();
        assert_eq!(user().read_u64(seen(at, &view)), Ok(3));
        assert_eq!(user().write_u64(seen(at, &view), 4).unwrap_err().cause, Cause::Forbidden);
        assert_eq!(m.cpu(1).write_u64(seen(at, &view), 4).unwrap_err().cause, Cause::Forbidden, "nor the kernel");
        assert_eq!(fault(&m, &view, at, Kind::Write), refused(Refusal::ReadOnlyView));
        assert_eq!(fault(&m, &other, at, Kind::Write), ProgramFaultOutcome::Retry);
        m.write(0, at, 5).unwrap();
        assert_eq!(user().read_u64(seen(at, &view)), Ok(5), "in the kernel view it may");
        // Where nothing is, a store gets no page either; a load does.
        let absent = page(9);
        assert_eq!(fault(&m, &view, absent, Kind::Write), refused(Refusal::ReadOnlyView));
        assert!(state(&m, absent).is_vacant());
        assert_eq!(user().read_u64(seen(absent, &view)).is_ok(), policy == FaultPolicy::Lazy);
        for view in [view, other] {
            m.detach(0, view).unwrap();
        }
        m.finish();
    }
}

fn a_program_reaches_its_own_pages_and_an_allocators_and_none_of_the_kernels<F: Format>() {
    for policy in POLICIES {
        let m = Machine::<F>::builder().build();
        let view = attached(&m, policy);
        let alloc = |owner| m.arena().alloc_pages(AllocRequest::new(PageCount::ONE, owner)).unwrap().to_ptr();
        for owner in [Owner::Program, Owner::Allocator] {
            let at = alloc(owner);
            m.cpu(1).user().write_u64(seen(at, &view), 7).unwrap();
            assert_eq!(m.read(0, at), Ok(7));
            m.arena().free_pages_deferred(at, PageCount::ONE, owner).unwrap();
            assert_eq!(m.cpu(1).user().read_u64(seen(at, &view)), Ok(7), "until it is reclaimed");
            assert_eq!(fault(&m, &view, at, Kind::Write), ProgramFaultOutcome::Retry);
        }
        let at = alloc(Owner::Kernel);
        m.write(0, at, 8).unwrap();
        for _ in 0..2 {
            for kind in [Kind::Read, Kind::Write] {
                assert_eq!(fault(&m, &view, at, kind), refused(Refusal::KernelPage));
            }
            let user = m.cpu(1).user();
            assert_eq!(user.read_u64(seen(at, &view)).unwrap_err().cause, Cause::Forbidden);
            assert_eq!(user.write_u64(seen(at, &view), 1).unwrap_err().cause, Cause::Forbidden);
            assert_eq!(m.cpu(1).read_u64(seen(at, &view)), Ok(8), "the kernel may there, too");
            // And the same again, when it is queued.
            let _ = m.arena().free_pages_deferred(at, PageCount::ONE, Owner::Kernel);
        }
        m.arena().reclaim();
        m.detach(0, view).unwrap();
        m.finish();
    }
}

fn scratch_is_never_a_programs<F: Format>() {
    for policy in POLICIES {
        let m = Machine::<F>::builder().extent(1, 8).build();
        let view = attached(&m, policy);
        let (free, kept, outside, far) = (page(3), page(4), page(300), page(2000));
        m.arena().reserve_pages(kept, PageCount::ONE, Owner::Program).unwrap();
        for at in [free, kept, outside, far] {
            m.write(0, at, 0x5ec2e7).unwrap();
            let declined = m.cpu(1).user().read_u64(seen(at, &view)).unwrap_err();
            assert_eq!(declined.cause, Cause::Forbidden, "{at:?}");
            assert_eq!(m.cpu(1).user().write_u64(seen(at, &view), 1).unwrap_err().cause, Cause::Forbidden);
        }
        for kind in [Kind::Read, Kind::Write] {
            assert_eq!(fault(&m, &view, free, kind), refused(Refusal::Scratched));
            assert_eq!(fault(&m, &view, kept, kind), refused(Refusal::Reserved));
            assert_eq!(fault(&m, &view, outside, kind), refused(Refusal::OutsideExtent));
            assert_eq!(fault(&m, &view, far, kind), refused(Refusal::OutsideExtent));
        }
        assert_eq!(state(&m, free), SlotState::Scratch, "it was not given");
        m.arena().reclaim();
        // What a wild store of the kernel's left behind nobody reads.
        let user = m.cpu(1).user().read_u64(seen(free, &view));
        match policy {
            FaultPolicy::Lazy => assert_eq!(user, Ok(0)),
            FaultPolicy::Segv => assert_eq!(fault(&m, &view, free, Kind::Read), refused(Refusal::Policy)),
        }
        m.detach(0, view).unwrap();
        m.finish();
    }
}

fn nothing_is_executed<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = attached(&m, FaultPolicy::Lazy);
    let at = m.alloc(1);
    assert_eq!(m.cpu(1).user().fetch(seen(at, &view)).unwrap_err().cause, Cause::Forbidden);
    assert_eq!(m.cpu(1).fetch(seen(at, &view)).unwrap_err().cause, Cause::Forbidden);
    for at in [at, page(20), page(0xf_ffff)] {
        assert_eq!(fault(&m, &view, at, Kind::Fetch), refused(Refusal::NotExecutable));
    }
    assert!(state(&m, page(20)).is_vacant(), "a fetch gets no page");
    m.detach(0, view).unwrap();
    m.finish();
}

/// What is queued of a program's is the program's until it is reclaimed: see above; what is reserved never.
fn what_is_set_aside_or_outside_is_refused_whatever_the_policy<F: Format>() {
    for policy in POLICIES {
        let m = Machine::<F>::builder().extent(10, 20).build();
        let view = attached(&m, policy);
        for owner in [Owner::Program, Owner::Kernel, Owner::Allocator] {
            let kept = m.arena().reserve_pages(page(12), PageCount::ONE, owner);
            assert_eq!(kept, Ok(()));
            assert_eq!(fault(&m, &view, page(12), Kind::Write), refused(Refusal::Reserved));
            let request = AllocRequest::new(PageCount::ONE, owner).in_reservation(page(12)).in_context(Context::Any);
            m.arena().alloc_pages(request).unwrap();
            let now = if owner == Owner::Kernel { refused(Refusal::KernelPage) } else { ProgramFaultOutcome::Retry };
            assert_eq!(fault(&m, &view, page(12), Kind::Write), now);
            m.arena().free_pages(page(12), PageCount::ONE, owner).unwrap();
        }
        for outside in [9, 30, 0xf_ffff] {
            assert_eq!(fault(&m, &view, page(outside), Kind::Read), refused(Refusal::OutsideExtent));
        }
        let base = view.base().address().value();
        assert_eq!(m.fault(0, view.id(), base, Kind::Read), refused(Refusal::OutsideExtent), "null's page");
        for elsewhere in [base - 1, base + (1 << 32), 0, u64::MAX, m.at(page(12)).value()] {
            assert_eq!(m.fault(0, view.id(), elsewhere, Kind::Read), ProgramFaultOutcome::NotOurs, "{elsewhere:#x}");
        }
        assert!(m.cpu(1).user().read_u64(m.at(page(12))).is_err(), "at the kernel's address");
        m.detach(0, view).unwrap();
        m.finish();
    }
}

/// A word that somebody else has written is nobody's of ours, also to a program.
fn a_foreign_word_is_not_ours<F: Format>() {
    for policy in POLICIES {
        let m = Machine::<F>::builder().build();
        let view = attached(&m, policy);
        m.scribble(page(5), crate::machine::IN_USE);
        for kind in [Kind::Read, Kind::Write] {
            assert_eq!(fault(&m, &view, page(5), kind), ProgramFaultOutcome::NotOurs);
        }
        m.scribble(page(5), 0);
        m.detach(0, view).unwrap();
        m.finish();
    }
}

each_format!(
    a_read_only_view_is_read_and_the_same_page_is_written_elsewhere,
    a_program_reaches_its_own_pages_and_an_allocators_and_none_of_the_kernels,
    scratch_is_never_a_programs,
    nothing_is_executed,
    what_is_set_aside_or_outside_is_refused_whatever_the_policy,
    a_foreign_word_is_not_ours,
);
