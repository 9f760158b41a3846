//! Two arenas in three address spaces.

use kernel_arena::views::{FaultPolicy, ProgramFaultOutcome, ViewRights};
use kernel_arena::{AllocRequest, Owner, PageCount, SlotState};

use super::{index, page};
use crate::machine::{Format, Kind, Machine};

/// One space has one arena, one has both, one has none: programs share memory at different addresses, and only there.
fn programs_share_an_arena_at_different_addresses<F: Format>() {
    let m = Machine::<F>::builder().cpus(3).tags(3).arenas(2).build();
    let attach = |arena, tag, policy| m.attach(arena, m.lend(arena, tag), ViewRights::ReadWrite, policy).unwrap();
    let (one, two) = (attach(0, 1, FaultPolicy::Lazy), attach(0, 2, FaultPolicy::Segv));
    let other = attach(1, 2, FaultPolicy::Lazy);
    for cpu in 0..3 {
        m.cpu(cpu.into()).switch_to(cpu);
    }
    // The program of space 1 faults it in, and both have it.
    m.cpu(1).user().write_u64(page(3).to_program(one.base()), 11).unwrap();
    assert_eq!(m.cpu(2).user().read_u64(page(3).to_program(two.base())), Ok(11));
    m.cpu(2).user().write_u64(page(3).to_program(two.base()), 12).unwrap();
    assert_eq!(m.cpu(1).user().read_u64(page(3).to_program(one.base())), Ok(12));
    assert_eq!(m.read(0, page(3)), Ok(12));
    // Nobody else.
    assert!(m.cpu(0).user().read_u64(page(3).to_program(one.base())).is_err());
    assert!(m.cpu(1).user().read_u64(page(3).to_program(two.base())).is_err());
    assert!(m.cpu(2).user().read_u64(page(3).to_program(one.base())).is_err());
    // The same page of the other arena is another.
    assert_eq!(m.cpu(2).user().read_u64(page(3).to_program(other.base())), Ok(0));
    assert!(matches!(m.arena_at(1).page_state(index(3)), Some(SlotState::Mapped(_, Owner::Program))));
    m.free(page(3), 1);
    assert!(m.cpu(2).user().read_u64(page(3).to_program(two.base())).is_err());
    assert_eq!(m.cpu(2).user().read_u64(page(3).to_program(other.base())), Ok(0));
    // What one is given as lazy, the other may use; strict alone gets none.
    assert!(m.cpu(2).user().read_u64(page(4).to_program(two.base())).is_err());
    assert_eq!(m.cpu(1).user().read_u64(page(4).to_program(one.base())), Ok(0));
    assert_eq!(m.cpu(2).user().read_u64(page(4).to_program(two.base())), Ok(0));
    let stats = [0, 1].map(|arena| m.arena_at(arena).stats());
    assert_eq!(stats.map(|stats| stats.pages_given), [2, 1]);
    m.detach(0, one).unwrap();
    assert_eq!(m.cpu(2).user().read_u64(page(4).to_program(two.base())), Ok(0), "its own view stays");
    m.detach(0, two).unwrap();
    m.detach(1, other).unwrap();
    m.finish();
}

/// Two views of one arena in one address space.
fn an_arena_may_be_seen_twice_in_one_space<F: Format>() {
    let m = Machine::<F>::builder().build();
    let (one, two) = (m.attach_view(0, 1), m.attach_view(0, 1));
    let at = m.alloc(1);
    m.cpu(1).switch_to(1);
    m.cpu(1).user().write_u64(at.to_program(one), 5).unwrap();
    assert_eq!(m.cpu(1).user().read_u64(at.to_program(two)), Ok(5));
    m.detach_view(one);
    assert_eq!(m.cpu(1).user().read_u64(at.to_program(two)), Ok(5));
    assert!(m.cpu(1).user().read_u64(at.to_program(one)).is_err());
    m.finish();
}

/// The pages of a view's four entries: each leads to its own quarter.
fn each_quarter_of_the_window_is_where_it_should_be<F: Format>() {
    for first in [1, (1 << 18) - 1, (2 << 18) - 1, (3 << 18) - 1, (4 << 18) - 2] {
        let m = Machine::<F>::builder().extent(first, 2).build();
        let base = m.attach_view(0, 1);
        m.cpu(1).switch_to(1);
        for number in [first, first + 1] {
            let request = AllocRequest::new(PageCount::ONE, Owner::Program).exactly_at(page(number));
            m.arena().alloc_pages(request).unwrap();
            m.write(0, page(number), u64::from(number)).unwrap();
            assert_eq!(m.cpu(1).user().read_u64(page(number).to_program(base)), Ok(u64::from(number)));
        }
        m.finish();
    }
}

/// A program that runs off the end of its view, or before its start.
fn nothing_is_beside_a_view<F: Format>() {
    let m = Machine::<F>::builder().extent((4 << 18) - 2, 2).build();
    let view = super::attached(&m, FaultPolicy::Lazy);
    let base = view.base().address().value();
    let user = m.cpu(1).user();
    user.write_u64(kernel_arena::VirtAddr::new(base + (1 << 32) - 8), 1).unwrap();
    for beside in [base - 1, base + (1 << 32)] {
        assert!(user.read_u8(kernel_arena::VirtAddr::new(beside)).is_err());
        assert_eq!(m.fault(0, view.id(), beside, Kind::Read), ProgramFaultOutcome::NotOurs);
    }
    // A word that begins in the view and ends outside.
    assert!(user.read_u64(kernel_arena::VirtAddr::new(base + (1 << 32) - 4)).is_err());
    m.detach(0, view).unwrap();
    m.finish();
}

each_format!(
    programs_share_an_arena_at_different_addresses,
    an_arena_may_be_seen_twice_in_one_space,
    each_quarter_of_the_window_is_where_it_should_be,
    nothing_is_beside_a_view,
);
