//! Accesses to what is not there: recovered, recorded exactly, and the program goes on.

use kernel_arena::arch::MODEL_TRY;
use kernel_arena::platform::CpuId;
use kernel_arena::{
    Access, ArenaPtr, Fault, FaultOutcome, GUARD_SIZE, InstructionAddr, KernelAddr, ProgramId, SlotState, Violation,
    ViolationKind, VirtAddr,
};

use super::{after, alloc, defer, guard, index, page, request, reserve, state};
use crate::machine::{Cause, Declined, Format, INSTRUCTION, Machine, Point};

/// The only violation that waits to be taken.
fn only_violation<F: Format>(m: &Machine<F>) -> Violation {
    let violation = m.arena().take_violation().expect("a violation was recorded");
    assert_eq!(m.arena().take_violation(), None);
    violation
}

/// An access on CPU 1 at an offset, and all that is recorded of it.
fn recorded<F: Format>(m: &Machine<F>, offset: u32, kind: ViolationKind) {
    let address = m.at(ArenaPtr::new(offset).unwrap());
    let sequence = m.arena().stats().violations;
    let accessed = match kind {
        ViolationKind::Write => m.cpu(1).write_u8(address, 9),
        _ => m.cpu(1).read_u8(address).map(drop),
    };
    assert_eq!(accessed, Ok(()));
    let cpu = Some(CpuId::new(1));
    let instruction = InstructionAddr::new(INSTRUCTION);
    let violation = Violation { address, kind, instruction, bytecode: None, cpu, program: None, sequence };
    assert_eq!(only_violation(m), violation);
}

/// T57.
fn a_store_to_a_missing_page_is_recorded<F: Format>() {
    let m = Machine::<F>::builder().build();
    recorded(&m, 0x5000, ViolationKind::Write);
    // Where there is no leaf table, too.
    recorded(&m, 0x8765_4320, ViolationKind::Write);
    m.finish();
}

/// T58.
fn a_load_from_a_missing_page_is_recorded<F: Format>() {
    let m = Machine::<F>::builder().build();
    recorded(&m, 0x5000, ViolationKind::Read);
    recorded(&m, 0x8765_4320, ViolationKind::Read);
    m.finish();
}

/// T64: the address is that of the byte, not of its page.
fn a_load_is_recorded_with_its_exact_address<F: Format>() {
    let m = Machine::<F>::builder().build();
    recorded(&m, 0x7fff, ViolationKind::Read);
    assert_eq!(m.at(ArenaPtr::new(0x7fff).unwrap()).value(), m.arena().layout().base().value() + 0x7fff);
    m.finish();
}

/// T65.
fn a_store_is_recorded_with_its_exact_address<F: Format>() {
    let m = Machine::<F>::builder().build();
    recorded(&m, 0x7fff, ViolationKind::Write);
    m.finish();
}

/// T64, T65: an access that begins on a page that is there and ends on one that is not is recorded where it left the first.
fn an_access_across_two_pages_is_recorded_where_it_misses<F: Format>() {
    let m = Machine::<F>::builder().build();
    assert_eq!(m.alloc(1), page(1));
    let across = m.at(ArenaPtr::new(0x1ffc).unwrap());
    m.cpu(0).write_u64(across, 0x1122_3344_5566_7788).unwrap();
    let violation = only_violation(&m);
    assert_eq!((violation.address, violation.kind), (m.at(page(2)), ViolationKind::Write));
    let low = m.cpu(1).read_u64(m.at(ArenaPtr::new(0x1ff8).unwrap()));
    assert_eq!(low, Ok(0x5566_7788_0000_0000), "the part that is there was stored");
    m.cpu(0).read_u64(m.at(ArenaPtr::new(0x7ffc).unwrap())).unwrap();
    let addresses = [0x7ffc, 0x8000].map(|offset| m.at(ArenaPtr::new(offset).unwrap()));
    assert_eq!(addresses.map(|_| m.arena().take_violation().map(|violation| violation.address)), addresses.map(Some));
    m.finish();
}

/// T82: whatever the kernel was about when it touched a page that is not there, it goes on.
fn an_access_to_an_unpopulated_page_recovers_and_the_program_goes_on<F: Format>() {
    let m = Machine::<F>::builder().build();
    let sum = m.alloc(1);
    for n in 0..20 {
        let wild = page(40 + n % 10);
        let value = m.read(0, wild).unwrap();
        assert_eq!(value, if n == 0 { 0 } else { u64::from(n) - 1 });
        m.write(0, wild, n.into()).unwrap();
        let so_far = m.read(1, sum).unwrap();
        m.write(1, sum, so_far + u64::from(n)).unwrap();
    }
    assert_eq!(m.read(0, sum), Ok(190), "no real page was harmed");
    assert_eq!((m.exceptions(), m.arena().stats().violations), (10, 10));
    assert_eq!(alloc(&m, request(1).exactly_at(page(45))), Ok(page(45)));
    assert_eq!(m.read(0, page(45)), Ok(0), "nor does the next one have what was stored");
    m.finish();
}

/// N9.
fn the_upper_guard_is_recovered_and_the_lower_is_not<F: Format>() {
    let m = Machine::<F>::builder().build();
    let (base, end) = (m.arena().layout().base().value(), guard(&m).value());
    assert_eq!(GUARD_SIZE, 32 << 10);
    for address in [end, end + GUARD_SIZE - 1] {
        m.cpu(0).write_u8(VirtAddr::new(address), 1).unwrap();
        let violation = only_violation(&m);
        assert_eq!((violation.address, violation.kind), (KernelAddr::new(address), ViolationKind::Write));
    }
    assert_eq!(m.arena().reclaim().healed_pages, 2);
    for address in [end, end + GUARD_SIZE - 1] {
        assert_eq!(m.cpu(1).read_u8(VirtAddr::new(address)), Ok(0));
        assert_eq!(only_violation(&m).address, KernelAddr::new(address));
    }
    let before = m.arena().stats();
    for address in [end + GUARD_SIZE, base - GUARD_SIZE, base - GUARD_SIZE / 2, base - 1, base - GUARD_SIZE - 1] {
        let declined = m.cpu(0).write_u8(VirtAddr::new(address), 1).unwrap_err();
        let Declined { address: at, cause: Cause::Missing { .. } } = declined else { panic!("{declined:?}") };
        assert_eq!(at, address);
        // Nor does the arena itself take it, asked without a registry.
        let (address, instruction) = (KernelAddr::new(address), InstructionAddr::new(INSTRUCTION));
        let fault = Fault { address, access: Access::Write, instruction };
        assert_eq!(m.arena().handle_kernel_fault(&fault), FaultOutcome::NotOurs);
    }
    assert_eq!(m.arena().stats(), before, "what is declined is not the arena's to record");
    m.finish();
}

/// A kernel has faults of its own before it can tell its CPUs apart: were it asked where it is, those would come here, too.
fn of_a_fault_that_is_not_the_arenas_nobody_is_asked_which_cpu_it_is<F: Format>() {
    let m = Machine::<F>::builder().build();
    m.hook(Point::CpuIdentity, |_| panic!("which CPU this is"));
    let (base, end) = (m.arena().layout().base().value(), guard(&m).value());
    for address in [0, base - 1, end + GUARD_SIZE, u64::MAX] {
        for instruction in [InstructionAddr::new(INSTRUCTION), MODEL_TRY] {
            let fault = Fault { address: KernelAddr::new(address), access: Access::Read, instruction };
            assert_eq!(m.arena().handle_kernel_fault(&fault), FaultOutcome::NotOurs, "{address:#x}");
        }
    }
    m.clear_hooks();
    m.finish();
}

/// N17: upstream finds the arena by the program on the stack. N7: there need be none.
fn a_fault_is_attributed_to_the_arena_of_its_address<F: Format>() {
    let m = Machine::<F>::builder().arenas(3).build();
    let program = ProgramId::new(12);
    for (n, owner) in [(2, program), (0, None), (1, program)] {
        let arena = m.arena_at(n);
        let wild = arena.layout().to_kernel(ArenaPtr::<u8>::new(0x2345).unwrap());
        // A program of another arena is at work on this CPU: it is not blamed.
        let other = m.arena_at((n + 1) % 3).work_for(ProgramId::new(99));
        let scope = arena.work_for(owner);
        m.cpu(0).write_u8(wild, 0xee).unwrap();
        drop((scope, other));
        for (number, arena) in (0..3).map(|number| (number, m.arena_at(number))) {
            let violation = arena.take_violation();
            assert_eq!(violation.is_some(), number == n);
            assert!(violation.is_none_or(|found| found.address == wild && found.program == owner));
            let state = arena.page_state(index(2));
            assert_eq!(state == Some(SlotState::Scratch), number == n, "arena {number}: {state:?}");
        }
        arena.reclaim();
    }
    let nobodys = m.arena().layout().base().value() + (2 << 32);
    assert!(m.cpu(0).read_u8(VirtAddr::new(nobodys)).is_err(), "between two windows");
    m.finish();
}

/// N8, N17: what a wild store left in one arena is not read in another.
fn a_wild_store_is_not_seen_in_another_arena<F: Format>() {
    let m = Machine::<F>::builder().arenas(2).build();
    let [mine, theirs] = [0, 1].map(|n| m.arena_at(n).layout().to_kernel(ArenaPtr::<u64>::new(0x3000).unwrap()));
    m.cpu(0).write_u64(mine, 0x5ec2e7).unwrap();
    assert_eq!(m.cpu(0).read_u64(theirs), Ok(0));
    assert_eq!(m.cpu(1).read_u64(mine), Ok(0x5ec2e7));
    m.arena_at(1).reclaim();
    assert_eq!(m.cpu(1).read_u64(mine), Ok(0x5ec2e7), "the other arena's scratch page was zeroed");
    m.finish();
}

/// N18: a page that holds scratch does not fault again until it is healed; a repeated violation is seen once per healing.
fn a_repeated_violation_is_seen_once_per_healing<F: Format>() {
    let m = Machine::<F>::builder().build();
    let (slot, region) = (m.at(page(7)), m.at(ArenaPtr::new(0x4000_0000).unwrap()));
    for round in 1..=3 {
        for address in [slot, region, guard(&m)] {
            for cpu in [0, 1, 0, 1] {
                m.cpu(cpu).write_u64(address, round).unwrap();
                m.cpu(cpu).read_u8(KernelAddr::new(address.value() + 17)).unwrap();
            }
        }
        assert_eq!((m.exceptions(), m.arena().stats().violations), (3 * round, 3 * round));
        let done = m.arena().reclaim();
        assert_eq!((done.healed_pages, done.healed_regions), (2, 1));
    }
    assert_eq!(m.arena().stats().violations_lost, 0);
    m.finish();
}

/// N18: a reserved page is healed when it is free again.
fn a_reserved_page_is_healed_after_it_was_freed<F: Format>() {
    let m = Machine::<F>::builder().build();
    assert_eq!(reserve(&m, page(3), 2), Ok(()));
    m.write(0, page(3), 1).unwrap();
    assert_eq!(m.arena().reclaim().healed_pages, 0);
    m.write(1, page(3), 1).unwrap();
    assert_eq!(m.arena().stats().violations, 1);
    assert_eq!(defer(&m, page(3), 2), Ok(()));
    assert_eq!([state(&m, page(3)), state(&m, after(page(3), 1))], [SlotState::Scratch, SlotState::Vacant]);
    assert_eq!(m.arena().reclaim().healed_pages, 1);
    m.write(1, page(3), 1).unwrap();
    assert_eq!(m.arena().stats().violations, 2);
    m.finish();
}

/// A fault that finds its page there is no violation, whoever reports it.
fn a_fault_on_a_page_that_is_there_is_not_recorded<F: Format>() {
    let m = Machine::<F>::builder().build();
    let at = m.at(m.alloc(1));
    let instruction = InstructionAddr::new(INSTRUCTION);
    let fault = Fault { address: at, access: Access::Write, instruction };
    assert_eq!(m.cpu(1).raise(&fault), FaultOutcome::Spurious);
    assert_eq!(m.arena().take_violation(), None);
    m.finish();
}

each_format!(
    a_store_to_a_missing_page_is_recorded,
    a_load_from_a_missing_page_is_recorded,
    a_load_is_recorded_with_its_exact_address,
    a_store_is_recorded_with_its_exact_address,
    an_access_across_two_pages_is_recorded_where_it_misses,
    an_access_to_an_unpopulated_page_recovers_and_the_program_goes_on,
    the_upper_guard_is_recovered_and_the_lower_is_not,
    of_a_fault_that_is_not_the_arenas_nobody_is_asked_which_cpu_it_is,
    a_fault_is_attributed_to_the_arena_of_its_address,
    a_wild_store_is_not_seen_in_another_arena,
    a_repeated_violation_is_seen_once_per_healing,
    a_reserved_page_is_healed_after_it_was_freed,
    a_fault_on_a_page_that_is_there_is_not_recorded,
);
