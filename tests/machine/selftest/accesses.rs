//! Accesses: which faults an arena recovers, what it records, and what each view may do.

use kernel_arena::platform::CpuId;
use kernel_arena::{ArenaPtr, GUARD_SIZE, InstructionAddr, ViolationKind, VirtAddr, WINDOW_SIZE};

use super::super::{Cause, Declined, Format, INSTRUCTION, Machine};

fn a_wild_access_is_recovered_and_recorded_exactly<F: Format>() {
    let m = Machine::<F>::builder().arenas(2).build();
    let wild = m.arena_at(1).layout().to_kernel(ArenaPtr::<u8>::new(0x7ff8).unwrap());
    m.cpu(1).write_u8(wild, 5).unwrap();
    assert_eq!(m.cpu(0).read_u8(wild), Ok(5));
    assert_eq!(m.exceptions(), 1);
    assert!(m.arena().take_violation().is_none(), "another arena's");
    let violation = m.arena_at(1).take_violation().unwrap();
    assert_eq!(violation.address, wild);
    assert_eq!(violation.kind, ViolationKind::Write);
    assert_eq!(violation.instruction, InstructionAddr::new(INSTRUCTION));
    assert_eq!(violation.cpu, Some(CpuId::new(1)));
    m.nameless(|| m.read(0, ArenaPtr::new(0x6000).unwrap())).unwrap();
    assert_eq!(m.arena().take_violation().unwrap().cpu, None);
    m.finish();
}

fn the_whole_window_and_the_upper_guard_are_recovered_and_nothing_else<F: Format>() {
    let m = Machine::<F>::builder().build();
    let base = m.arena().layout().base().value();
    let end = base + WINDOW_SIZE;
    let recovered = [0, 0x1000, 0x20_0000, 0x4000_0000, WINDOW_SIZE - 8, WINDOW_SIZE - 4];
    for offset in recovered {
        m.cpu(0).write_u64(VirtAddr::new(base + offset), 1).unwrap();
    }
    m.cpu(0).read_u8(VirtAddr::new(end + GUARD_SIZE - 1)).unwrap();
    for outside in [base - 1, base - GUARD_SIZE, end + GUARD_SIZE, end + (1 << 21)] {
        let declined = m.cpu(0).read_u8(VirtAddr::new(outside)).unwrap_err();
        assert_eq!(declined.address, outside);
    }
    let healed = m.arena().reclaim();
    assert_eq!((healed.healed_pages, healed.healed_regions), (4, 3));
    let before = m.arena().stats().violations;
    for offset in [0, 0x1000, 0x20_0000, 0x4000_0000, WINDOW_SIZE] {
        m.cpu(1).read_u8(VirtAddr::new(base + offset)).unwrap();
    }
    assert_eq!(m.arena().stats().violations, before + 5, "seen again after healing");
    m.finish();
}

fn an_access_goes_on_however_often_the_processor_stutters<F: Format>() {
    let m = Machine::<F>::builder().build();
    let page = m.alloc(1);
    for cpu in [0, 1, 0] {
        m.stutter(15);
        assert_eq!(m.read(cpu, page), Ok(0));
    }
    let stats = m.arena().stats();
    assert_eq!((stats.spurious_faults, stats.violations), (45, 0));
    m.finish();
}

fn a_program_view_reaches_pages_but_not_scratch_and_executes_nothing<F: Format>() {
    let m = Machine::<F>::builder().build();
    let view = m.attach_view(0, 1);
    let page = m.alloc(1);
    let (program, absent) = (page.to_program(view), ArenaPtr::<u8>::new(0x3_0000).unwrap());
    let user = || m.cpu(1).user();
    assert!(user().read_u64(program).is_err(), "another address space");
    m.cpu(1).switch_to(1);
    user().write_u64(program, 77).unwrap();
    assert_eq!(m.read(0, page), Ok(77));
    assert_eq!(m.cpu(1).read_u64(program), Ok(77));
    let missing = Cause::Missing { level: 3 };
    let address = absent.to_program(view).value();
    assert_eq!(user().read_u8(VirtAddr::new(address)), Err(Declined { address, cause: missing }));
    m.write(0, absent, 1).unwrap();
    let cause = Cause::Forbidden;
    assert_eq!(user().read_u8(VirtAddr::new(address)), Err(Declined { address, cause }));
    assert_eq!(m.cpu(1).user().read_u64(m.at(page)).unwrap_err().cause, cause);
    for fetch in [user().fetch(program), m.cpu(1).fetch(program), m.cpu(1).fetch(m.at(page))] {
        assert_eq!(fetch.unwrap_err().cause, cause);
    }
    m.free(page, 1);
    assert!(user().read_u64(program).is_err());
    m.detach_view(view);
    m.finish();
}

each_format!(
    a_wild_access_is_recovered_and_recorded_exactly,
    the_whole_window_and_the_upper_guard_are_recovered_and_nothing_else,
    an_access_goes_on_however_often_the_processor_stutters,
    a_program_view_reaches_pages_but_not_scratch_and_executes_nothing,
);
