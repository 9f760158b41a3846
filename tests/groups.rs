//! Groups of programs on the software machine: what may be one, and that whatever is taken is given back, in order, wherever a
//! step fails.

mod decoded;
mod model;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kernel_arena::groups::{DisableError, EnableError, Group, Hold, Member, MembersError};
use kernel_arena::masks::MaskIds;
use kernel_arena::platform::CpuId;
use kernel_arena::pool::PoolError;
use kernel_arena::{Access, Arena, Fault, FaultOutcome, InstructionAddr, Owner, PageCount, ProgramHole, ProgramId};

use crate::machine::{Format, Host, Machine};

pub(crate) use decoded::tasks;

/// A program, as far as a group cares.
struct Program<'a, F: Format> {
    arena: Option<&'a Arena<Host<F>, F>>,
    number: u32,
}

impl<'a, F: Format> Member<'a, Host<F>, F> for Program<'a, F> {
    fn arena(&self) -> Option<&'a Arena<Host<F>, F>> {
        self.arena
    }

    fn id(&self) -> Option<ProgramId> {
        assert_ne!(self.number, UNASKED, "nobody asks for that");
        ProgramId::new(self.number)
    }
}

/// The number of a program that panics when it is asked for it.
const UNASKED: u32 = u32::MAX;

type Programs<'a, F> = Group<'a, Host<F>, Program<'a, F>, 4, F>;

/// Two programs, the second without an arena, in slots 1 and 3.
fn group<F: Format>(m: &Machine<F>, budget: u64) -> Programs<'_, F> {
    let members =
        [None, Some(Program { arena: Some(m.arena()), number: 7 }), None, Some(Program { arena: None, number: 8 })];
    Group::register(members, budget).expect("one arena")
}

fn ids(count: u32) -> MaskIds {
    MaskIds::new(count).expect("1 to 8192")
}

fn nothing<T>(_: &T) -> Result<(), &'static str> {
    Ok(())
}

/// What an arena and its machine have taken, when all that was freed is back.
fn taken<F: Format>(m: &Machine<F>) -> (usize, u32, u64) {
    m.arena().reclaim();
    let stats = m.arena().stats();
    (m.frames_in_use(), stats.claimed_pages, stats.holds)
}

/// Where the compiler does not see the borrow any more.
fn an_arena_that_is_held_is_not_destroyed<F: Format>() {
    let said = crate::machine::failure(|| {
        let m = Machine::<F>::builder().build();
        drop(Hold::new(m.arena()));
        std::mem::forget(Hold::new(m.arena()));
        m.finish();
    });
    assert!(said.contains("DestroyRefused { views: 0, holds: 1"), "destroyed under who holds it: {said}");
}

fn a_group_has_exactly_one_arena<F: Format>() {
    let m = Machine::<F>::builder().arenas(2).build();
    let of = |arena| Some(Program { arena, number: 1 });
    let (first, second) = (Some(m.arena_at(0)), Some(m.arena_at(1)));
    let none: [Option<Program<'_, F>>; 2] = [None, None];
    assert_eq!(Group::register(none, 0).unwrap_err().error, MembersError::NoArena);
    assert_eq!(Group::register([of(None), None], 0).unwrap_err().error, MembersError::NoArena);
    let refused = Group::register([of(first), None, of(second)], 0).unwrap_err();
    assert_eq!(refused.error, MembersError::MultipleArenas { slot: 2 });
    assert!(refused.members[0].is_some() && refused.members[1].is_none() && refused.members[2].is_some());
    assert_eq!((m.arena_at(0).stats().holds, m.arena_at(1).stats().holds), (0, 0), "nothing is held");

    // Another arena's window may be at the same address, in other tables.
    let elsewhere = Machine::<F>::builder().build();
    assert_eq!(elsewhere.arena().layout().base(), m.arena().layout().base());
    let refused = Group::register([of(first), of(Some(elsewhere.arena())), None], 0).unwrap_err();
    assert_eq!(refused.error, MembersError::MultipleArenas { slot: 1 });

    // The same one twice is one, and held once.
    let group = Group::register([of(second), of(None), of(second)], 0).unwrap();
    assert!(std::ptr::eq(group.arena(), m.arena_at(1)));
    assert_eq!((m.arena_at(0).stats().holds, m.arena_at(1).stats().holds), (0, 1));
    drop(group);
    assert_eq!(m.arena_at(1).stats().holds, 0);
    m.finish();
    elsewhere.finish();

    let m = Machine::<F>::builder().private().build();
    let refused = Group::register([Some(Program { arena: Some(m.arena()), number: 1 })], 0).unwrap_err();
    assert_eq!(refused.error, MembersError::Private);
    m.finish();
}

fn programs_are_walked_in_the_order_of_their_slots<F: Format>() {
    let m = Machine::<F>::builder().build();
    let group = group(&m, 0);
    let mut seen = Vec::new();
    let all: ControlFlow<()> = group.walk(|slot, member| {
        seen.push((slot, member.number));
        ControlFlow::Continue(())
    });
    assert_eq!((all, seen), (ControlFlow::Continue(()), vec![(1, 7), (3, 8)]));
    let first = group.walk(|slot, _| ControlFlow::Break(slot));
    assert_eq!(first, ControlFlow::Break(1), "the first that breaks off ends it");
    let back = group.unregister();
    assert_eq!(back.map(|member| member.map(|member| member.number)), [None, Some(7), None, Some(8)]);
    m.finish();
}

/// There are so many frames and no more, for every number that is too small, and `init` refuses at last.
fn whatever_step_of_enabling_fails_nothing_is_left<F: Format>() {
    let m = Machine::<F>::builder().cpus(4).build();
    let before = taken(&m);
    let group = group(&m, 0);
    let mut steps = 0;
    loop {
        m.limit_frames(before.0 + steps);
        let enabled = group.enable(ids(8192), |_| Err("no"));
        m.limit_frames(usize::MAX);
        match enabled {
            Err(EnableError::Masks(PoolError::OutOfMetadata | PoolError::Pages(_))) => {}
            Err(EnableError::Init("no")) => break,
            other => panic!("{other:?}"),
        }
        assert_eq!(taken(&m), (before.0, before.1, 1), "after step {steps}");
        assert!(!group.is_present() && group.enter(1).is_none());
        steps += 1;
    }
    assert!(steps >= 3, "{steps} steps");
    assert_eq!(taken(&m), (before.0, before.1, 1));
    // After all that it can be enabled.
    assert_eq!(group.enable(ids(64), nothing), Ok(()));
    assert_eq!(group.disable(|_| ()), Ok(()));
    drop(group);
    assert_eq!(taken(&m), before);
    m.finish();
}

fn callbacks_come_after_init_and_before_exit<F: Format>() {
    let m = Machine::<F>::builder().cpus(3).build();
    let before = taken(&m);
    let group = group(&m, 0);
    assert!(group.enter(1).is_none(), "not enabled");
    assert_eq!(group.disable(|_| ()), Err(DisableError::NotEnabled));
    let enabled = group.enable(ids(8192), |memory| {
        assert!(group.enter(1).is_none(), "init is running");
        assert_eq!(group.enable(ids(1), nothing), Err(EnableError::Busy));
        assert_eq!(group.disable(|_| ()), Err(DisableError::Busy { callers: 0 }));
        assert_eq!(memory.mask_ids(), MaskIds::MAX);
        nothing(memory)
    });
    assert_eq!(enabled, Ok(()));
    assert_eq!(group.enable(ids(1), nothing), Err(EnableError::NotAtRest));

    assert!(group.enter(0).is_none() && group.enter(4).is_none(), "nobody is there");
    let call = group.enter(1).expect("it is there");
    assert_eq!(call.member().number, 7);
    // A mask for each CPU, apart, zeroed, aligned, and beside none of them a fourth.
    let masks = [0, 1, 2].map(|cpu| call.equipment().mask(CpuId::new(cpu)).expect("a mask"));
    assert_eq!(call.equipment().mask(CpuId::new(3)), None);
    for (mask, next) in masks.iter().zip(masks.iter().skip(1)) {
        let [mask, next] = [mask, next].map(|mask| mask.ptr().offset());
        assert!(mask % 8 == 0 && next - mask >= 16 + 129 * 8);
    }
    assert_eq!(m.read(0, masks[2].ptr().cast()), Ok(0));
    assert_eq!([0, 2].map(|cpu| m.on_cpu(cpu, || call.mask())), [Some(masks[0]), Some(masks[2])]);

    let second = group.enter(3).expect("calls nest");
    assert_eq!(group.disable(|_| ()), Err(DisableError::Busy { callers: 2 }));
    assert!(group.enter(1).is_none(), "no more callers");
    drop(second);
    let exited = Cell::new(0);
    assert_eq!(group.disable(|_| exited.set(1)), Err(DisableError::Busy { callers: 1 }));
    drop(call);
    let done = group.disable(|memory| {
        exited.set(exited.get() + 1);
        assert!(group.enter(1).is_none() && memory.mask(CpuId::new(0)).is_some());
    });
    assert_eq!((done, exited.get()), (Ok(()), 1), "once, when all have left");
    assert_eq!(group.disable(|_| ()), Err(DisableError::NotEnabled));
    drop(group);
    assert_eq!(taken(&m), before);
    m.finish();
}

fn a_group_that_is_dropped_gives_everything_back<F: Format>() {
    let m = Machine::<F>::builder().build();
    let before = taken(&m);
    for by in ["drop", "unregister"] {
        let group = group(&m, 0);
        assert_eq!(group.enable(ids(64), nothing), Ok(()));
        let layout = std::alloc::Layout::new::<[u64; 40]>();
        group.enter(1).expect("it is there").equipment().pool().alloc(layout).expect("room");
        assert_eq!(m.arena().stats().holds, 1);
        if by == "drop" {
            drop(group);
        } else {
            assert_eq!(group.unregister().into_iter().flatten().count(), 2);
        }
        assert_eq!(taken(&m), before, "{by}");
    }
    m.finish();
}

fn violations_are_charged_to_the_group_whose_call_they_were_in<F: Format>() {
    let m = Machine::<F>::builder().build();
    let group = group(&m, 3);
    assert_eq!(group.enable(ids(64), nothing), Ok(()));
    let hole = ProgramHole { program: None, instruction: 5, offset: -1, access: Access::Read, bytes: 1 };

    let outside = m.arena().work_for(ProgramId::new(9));
    m.arena().record_hole(&hole);
    drop(outside);
    assert_eq!(group.violations(), 0, "of somebody else");

    // Of each kind one: the runner's, a refused free, the fault path's.
    let call = group.enter(1).expect("it is there");
    m.arena().record_hole(&hole);
    let kernels = kernel_arena::AllocRequest::new(PageCount::ONE, Owner::Kernel);
    let kernels = m.arena().alloc_pages(kernels).unwrap().to_ptr();
    assert!(m.arena().free_for_program(kernels.offset().into(), 1, kernel_arena::Context::Any).is_err());
    let address = m
        .arena()
        .layout()
        .to_kernel(kernel_arena::PageIndex::new(20).and_then(kernel_arena::PageIndex::to_ptr).unwrap());
    let fault = Fault { address, access: Access::Write, instruction: InstructionAddr::new(1) };
    assert_eq!(m.arena().handle_kernel_fault(&fault), FaultOutcome::Recovered);
    assert_eq!(call.violations(), 3);
    // An interrupt's are its own.
    let interrupt = m.arena().work_for(None);
    m.arena().record_hole(&hole);
    drop(interrupt);
    assert_eq!((call.violations(), group.violations()), (3, 0));
    assert!(!call.end());
    assert_eq!((group.violations(), group.is_present()), (3, true), "within the budget");

    let beside = group.enter(1).expect("it is there");
    let call = group.enter(3).expect("it is there");
    m.arena().record_hole(&hole);
    assert!(group.is_present(), "charged at the end of the call");
    assert!(call.end(), "the one that was too many");
    assert_eq!((group.violations(), group.is_present()), (4, false), "ejected");
    assert!(group.enter(1).is_none());
    assert_eq!(beside.member().number, 7, "who is inside goes on");
    m.arena().record_hole(&hole);
    assert!(!beside.end(), "another has ejected it");
    assert_eq!(group.disable(|_| ()), Ok(()));
    // Enabled again, it begins anew.
    assert_eq!((group.enable(ids(64), nothing), group.violations()), (Ok(()), 0));
    assert!(!group.charge(3) && group.charge(1) && !group.charge(1), "one call ejects");
    assert_eq!(group.violations(), 4, "and nothing is charged to who is not there");
    assert_eq!(group.disable(|_| ()), Ok(()));
    m.arena().free_pages(kernels, PageCount::ONE, Owner::Kernel).unwrap();
    drop(group);
    m.finish();
}

/// A sum that goes round would be within the budget again.
fn a_sum_of_violations_stays_at_its_end<F: Format>() {
    let m = Machine::<F>::builder().build();
    let group = group(&m, u64::MAX);
    assert!(!group.charge(1), "not enabled");
    assert_eq!((group.enable(ids(64), nothing), group.violations()), (Ok(()), 0));
    assert!(!group.charge(u64::MAX) && !group.charge(2));
    assert_eq!((group.violations(), group.is_present()), (u64::MAX, true), "of such a budget none ejects");
    assert_eq!(group.disable(|_| ()), Ok(()), "who charges is gone");
    drop(group);
    m.finish();
}

fn a_panic_of_the_kernels_code_leaves_nothing_behind<F: Format>() {
    let m = Machine::<F>::builder().build();
    let members = [1, UNASKED].map(|number| Some(Program { arena: Some(m.arena()), number }));
    let group = Group::<Host<F>, _, 2, F>::register(members, 0).expect("one arena");
    let before = taken(&m);
    fn panics<T>(run: impl FnOnce() -> T) -> bool {
        catch_unwind(AssertUnwindSafe(run)).is_err()
    }
    assert!(panics(|| group.enable(ids(64), |_| -> Result<(), ()> { panic!("init gives up") })));
    assert_eq!(taken(&m), before, "init's memory is back");
    assert_eq!(group.enable(ids(64), nothing), Ok(()), "and the right to enable");
    assert!(panics(|| group.enter(1).is_some()));
    assert_eq!(group.enter(0).map(|call| call.violations()), Some(0), "others come and go");
    assert!(panics(|| group.disable(|_| panic!("exit gives up"))));
    assert_eq!(taken(&m), before, "nobody was inside, and all is back");
    assert_eq!(group.enable(ids(64), nothing), Ok(()));
    assert_eq!(group.disable(|_| ()), Ok(()));
    drop(group);
    m.finish();
}

each_format!(
    an_arena_that_is_held_is_not_destroyed,
    a_group_has_exactly_one_arena,
    programs_are_walked_in_the_order_of_their_slots,
    whatever_step_of_enabling_fails_nothing_is_left,
    callbacks_come_after_init_and_before_exit,
    a_group_that_is_dropped_gives_everything_back,
    violations_are_charged_to_the_group_whose_call_they_were_in,
    a_sum_of_violations_stays_at_its_end,
    a_panic_of_the_kernels_code_leaves_nothing_behind,
);
