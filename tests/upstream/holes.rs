//! Holes that a program's runner met: recorded with program, instruction and size, and each of them counted.

use kernel_arena::platform::CpuId;
use kernel_arena::{
    Access, Bytecode, GUARD_SIZE, InstructionAddr, ProgramHole, ProgramId, VIOLATION_CAPACITY, ViolationKind,
    WINDOW_SIZE,
};

use super::page;
use crate::machine::{Format, Machine};

const THREE: Option<ProgramId> = ProgramId::new(3);

fn hole(offset: i64) -> ProgramHole {
    ProgramHole { program: THREE, instruction: 17, offset, access: Access::Read, bytes: 8 }
}

fn a_hole_is_recorded_with_all_that_its_runner_knows<F: Format>() {
    let m = Machine::<F>::builder().build();
    let base = m.arena().layout().base().value();
    let end = i64::try_from(WINDOW_SIZE + GUARD_SIZE).unwrap();
    for offset in [-0x8000, -1, 0, 0x5003, 0xffff_ffff, 1 << 32, end - 1] {
        for (access, kind) in [(Access::Read, ViolationKind::Read), (Access::Write, ViolationKind::Write)] {
            for (instruction, bytes) in [(0, 1), (u32::MAX, 8), (1 << 31, u8::MAX)] {
                let hole = ProgramHole { program: ProgramId::new(u32::MAX), instruction, offset, access, bytes };
                let sequence = m.arena().stats().violations;
                m.on_cpu(1, || m.arena().record_hole(&hole));
                let violation = m.arena().take_violation().unwrap();
                assert_eq!(violation.address.value(), base.wrapping_add_signed(offset));
                assert_eq!((violation.kind, violation.sequence), (kind, sequence));
                assert_eq!(violation.bytecode, Some(Bytecode { instruction, bytes }));
                assert_eq!(violation.instruction, InstructionAddr::new(0));
                assert_eq!((violation.cpu, violation.program), (Some(CpuId::new(1)), hole.program));
            }
        }
    }
    assert_eq!(m.arena().take_violation(), None);
    m.finish();
}

/// N18: what the fault path sees once a healing, a runner sees each time.
fn a_page_that_holds_scratch_hides_no_hole<F: Format>() {
    let m = Machine::<F>::builder().build();
    m.write(0, page(5), 1).unwrap();
    m.write(0, page(5), 1).unwrap();
    assert_eq!(m.arena().stats().violations, 1);
    for seen in 2..5 {
        m.arena().record_hole(&hole(0x5000));
        assert_eq!(m.arena().stats().violations, seen);
    }
    m.finish();
}

fn a_full_record_counts_on<F: Format>() {
    let m = Machine::<F>::builder().build();
    let scope = m.arena().work_for(THREE);
    let many = VIOLATION_CAPACITY as u64 + 5;
    for offset in 0..many {
        m.arena().record_hole(&hole(i64::try_from(offset).unwrap()));
    }
    let stats = m.arena().stats();
    assert_eq!((stats.violations, stats.violations_lost), (many, 5));
    assert_eq!(u64::from(scope.violations()), many, "the program's own account is as good");
    drop(scope);
    let taken: Vec<_> = std::iter::from_fn(|| m.arena().take_violation()).collect();
    assert!(taken.iter().map(|violation| violation.sequence).eq(0..VIOLATION_CAPACITY as u64));
    assert!(taken.iter().all(|violation| violation.bytecode == Some(Bytecode { instruction: 17, bytes: 8 })));
    m.finish();
}

/// Whatever a violation is: a fault of the kernel's on the program's behalf, a hole, a free that was refused.
fn a_scope_counts_the_violations_of_its_program_alone<F: Format>() {
    let m = Machine::<F>::builder().build();
    let arena = m.arena();
    m.on_cpu(1, || {
        let outer = arena.work_for(THREE);
        m.write(1, page(5), 1).unwrap();
        assert!(arena.free_pages(page(6), super::ONE, kernel_arena::Owner::Program).is_err());
        arena.record_hole(&hole(0x5000));
        assert_eq!(outer.violations(), 3);
        // Nobody's, another's, and another CPU's.
        arena.record_hole(&ProgramHole { program: ProgramId::new(4), ..hole(0) });
        m.on_cpu(0, || arena.record_hole(&hole(0)));
        {
            let _handler = arena.work_for(None);
            m.write(1, page(7), 1).unwrap();
            arena.record_hole(&ProgramHole { program: None, ..hole(0) });
        }
        assert_eq!(outer.violations(), 3);
        let inner = arena.work_for(ProgramId::new(4));
        arena.record_hole(&ProgramHole { program: None, ..hole(0) });
        assert_eq!(inner.violations(), 1);
        drop(inner);
        assert_eq!(outer.violations(), 3);
        drop(outer);
        assert_eq!(arena.work_for(THREE).violations(), 0, "each scope counts anew");
    });
    assert_eq!(m.arena().stats().violations, 8);
    m.finish();
}

each_format!(
    a_hole_is_recorded_with_all_that_its_runner_knows,
    a_page_that_holds_scratch_hides_no_hole,
    a_full_record_counts_on,
    a_scope_counts_the_violations_of_its_program_alone,
);
