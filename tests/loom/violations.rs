//! The violation ring, here of two cells: writers and a drainer.
//!
//! Guards: a record is whole (the FULL store is Release, its taking Acquire; a cell is emptied with Release and written again
//! only after Acquire), none is lost while there is room, and what is lost is counted. I4: nobody waits.
//!
//! An invalid free is the shortest way to a record; each names its CPU and an address of its own.
//!
//! Three preemptions: a record is written by one exchange and one store, and hidden only while its writer stands between them.

use std::collections::BTreeSet;

use kernel_arena::{
    Access, ArenaPtr, Bytecode, FreeError, Owner, PageCount, ProgramHole, ProgramId, Violation, ViolationKind,
};

use crate::explore::{explore, preemptions, preemptions_if_long};
use crate::machine::{BASE, Small, on_cpu};
use crate::race::race_of_three;
use crate::world::{ModelArena, retire, start};

/// A record that names this CPU.
fn offend(arena: &ModelArena, cpu: u16) {
    let misaligned: ArenaPtr = ArenaPtr::new(0x100 + u32::from(cpu)).unwrap();
    let freed = arena.free_pages(misaligned, PageCount::ONE, Owner::Kernel);
    assert_eq!(freed, Err(FreeError::Misaligned));
}

/// Of which CPU a record is, if it is whole.
fn whole(violation: &Violation) -> u16 {
    let cpu = violation.cpu.expect("known").number();
    assert_eq!(violation.address.value(), BASE + 0x100 + u64::from(cpu), "a torn record: {violation:?}");
    assert_eq!(violation.kind, ViolationKind::InvalidFree);
    cpu
}

/// All records that are left.
fn drain(arena: &ModelArena) -> Vec<Violation> {
    std::iter::from_fn(|| arena.take_violation()).collect()
}

#[test]
fn two_writers_and_a_drainer_lose_nothing_while_there_is_room() {
    explore("two writers and a drainer", preemptions(3), 3, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        let take = |arena: &ModelArena| arena.take_violation();
        let (taken, (), ()) = race_of_three(first, &arena, take, |arena| offend(arena, 1), |arena| offend(arena, 2));
        let taken: Vec<_> = taken.into_iter().chain(drain(&arena)).collect();
        assert_eq!(taken.iter().map(whole).collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
        assert_eq!(taken.iter().map(|violation| violation.sequence).collect::<BTreeSet<_>>(), BTreeSet::from([0, 1]));
        assert_eq!(arena.stats().violations_lost, 0);
        retire(arena);
    });
}

#[test]
fn a_cell_that_is_used_again_holds_one_record_at_a_time() {
    explore("two writers into cells that are drained", preemptions_if_long(2, 3), 3, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        for _ in 0..2 {
            on_cpu(0, || offend(&arena, 0));
        }
        let take = |arena: &ModelArena| (0..3).filter_map(|_| arena.take_violation()).collect::<Vec<_>>();
        let (mut taken, (), ()) =
            race_of_three(first, &arena, take, |arena| offend(arena, 1), |arena| offend(arena, 2));
        taken.extend(drain(&arena));
        let sequences: BTreeSet<_> = taken.iter().map(|violation| violation.sequence).collect();
        assert_eq!(sequences.len(), taken.len(), "a record was taken twice");
        assert!(taken.iter().map(whole).filter(|cpu| *cpu != 0).count() <= 2);
        let stats = arena.stats();
        assert_eq!((stats.violations, stats.violations_lost), (4, 4 - taken.len() as u64));
        retire(arena);
    });
}

#[test]
fn two_drainers_never_take_the_same_record() {
    explore("a writer and two drainers", preemptions(3), 3, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        on_cpu(0, || offend(&arena, 0));
        let take = |arena: &ModelArena| arena.take_violation();
        let (ours, (), theirs) = race_of_three(first, &arena, take, |arena| offend(arena, 1), take);
        let taken: Vec<_> = ours.into_iter().chain(theirs).chain(drain(&arena)).collect();
        let cpus: Vec<_> = taken.iter().map(whole).collect();
        assert_eq!((cpus.len(), cpus.iter().collect::<BTreeSet<_>>().len()), (2, 2), "{taken:?}");
        retire(arena);
    });
}

/// A program's hole, whose record fills every word of the cell.
#[test]
fn holes_of_programs_are_whole_and_counted() {
    explore("two programs' holes and a drainer", preemptions(3), 3, |memory, first| {
        let arena = start::<Small>(memory, 1, 1);
        let hole = |arena: &ModelArena, number: u32| {
            let scope = arena.work_for(ProgramId::new(number));
            let (program, access, bytes) = (None, Access::Write, 8);
            arena.record_hole(&ProgramHole { program, instruction: number, offset: number.into(), access, bytes });
            scope.violations()
        };
        let take = |arena: &ModelArena| arena.take_violation();
        let (taken, ours, theirs) =
            race_of_three(first, &arena, take, move |arena| hole(arena, 1), move |arena| hole(arena, 2));
        assert_eq!((ours, theirs), (1, 1));
        let taken: Vec<_> = taken.into_iter().chain(drain(&arena)).collect();
        assert_eq!(taken.len(), 2);
        for violation in taken {
            let number = violation.program.expect("named").number();
            assert_eq!(violation.cpu.map(|cpu| u32::from(cpu.number())), Some(number));
            assert_eq!(violation.address.value(), BASE + u64::from(number));
            assert_eq!(violation.bytecode, Some(Bytecode { instruction: number, bytes: 8 }));
        }
        retire(arena);
    });
}
