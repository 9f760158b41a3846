//! Random lives of groups, judged by what is written down of each: its state, its callers, its sum.
//!
//! Calls stay open while other tasks go on, and end in the reverse order, as on a CPU that is interrupted: a call plays the tasks that
//! follow until one ends it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kernel_arena::groups::{DisableError, EnableError, Group, MembersError};
use kernel_arena::{Access, ProgramHole, ProgramId};
use proptest::prelude::*;

use super::{Program, Programs, ids};
use crate::machine::{Format, Machine};

/// How many groups there may be.
const GROUPS: usize = 3;
/// How many calls may be open.
const DEEPEST: usize = 6;
const ARENAS: usize = 2;
/// Of each arena.
const PAGES: u32 = 64;
pub(super) const CPUS: usize = 2;

/// A program that a group is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Empty,
    /// It works on no arena.
    Without,
    /// On the arena of this number.
    On(usize),
}

/// What `init` does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Init {
    Agrees,
    Refuses,
    /// It finds itself alone, and then agrees.
    LooksAround,
}

/// Groups are given by a number that is reduced to how many there may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    Register {
        group: usize,
        slots: [Slot; 4],
        budget: u64,
    },
    Unregister(usize),
    /// With no more than so many frames beyond those that are out, if that is said.
    Enable {
        group: usize,
        ids: u32,
        init: Init,
        frames: Option<usize>,
    },
    Disable(usize),
    Eject(usize),
    Charge(usize, u64),
    /// The tasks that follow happen in the call, until it ends.
    Enter {
        group: usize,
        slot: usize,
        cpu: usize,
    },
    Leave,
    /// A program's accesses, or the kernel's for it, find so many holes on an arena.
    Holes {
        arena: usize,
        count: u32,
    },
    /// The innermost call takes memory, which nobody gives back.
    Take(usize),
    Reclaim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AtRest,
    Present,
    Closed,
}

/// What is known of a group.
struct Known<'m, F: Format> {
    group: Programs<'m, F>,
    slots: [Slot; 4],
    arena: usize,
    budget: u64,
    state: Cell<State>,
    sum: Cell<u64>,
    callers: Cell<u64>,
}

impl<F: Format> Known<'_, F> {
    /// Adds to the sum of a life; whether that ends it.
    fn add(&self, violations: u64) -> bool {
        self.sum.set(self.sum.get().saturating_add(violations));
        self.sum.get() > self.budget && self.close()
    }

    fn close(&self) -> bool {
        let was = self.state.get() == State::Present;
        if was {
            self.state.set(State::Closed);
        }
        was
    }

    fn check(&self) {
        assert_eq!(self.group.is_present(), self.state.get() == State::Present);
        assert_eq!(self.group.violations(), self.sum.get());
        assert_eq!(self.group.budget(), self.budget);
        if self.state.get() == State::Present {
            assert!(self.sum.get() <= self.budget, "over its budget, and there");
        }
    }
}

/// A call that is open.
struct Open {
    arena: usize,
    cpu: usize,
    program: Option<ProgramId>,
    violations: u32,
}

struct Run<'m, F: Format> {
    machine: &'m Machine<F>,
    groups: RefCell<[Option<Rc<Known<'m, F>>>; GROUPS]>,
    open: RefCell<Vec<Open>>,
}

/// The number of the program in a slot.
fn number(slot: usize) -> u32 {
    u32::try_from(slot).unwrap() + 1
}

impl<'m, F: Format> Run<'m, F> {
    fn known(&self, group: usize) -> Option<Rc<Known<'m, F>>> {
        self.groups.borrow()[group % GROUPS].clone()
    }

    fn register(&self, group: usize, slots: [Slot; 4], budget: u64) {
        if self.known(group).is_some() {
            return;
        }
        let program = |(slot, what)| match what {
            Slot::Empty => None,
            Slot::Without => Some(Program { arena: None, number: number(slot) }),
            Slot::On(arena) => {
                Some(Program { arena: Some(self.machine.arena_at(arena % ARENAS)), number: number(slot) })
            }
        };
        let mut numbered = [0, 1, 2, 3].map(|slot| program((slot, slots[slot])));
        let members = [0, 1, 2, 3].map(|slot| numbered[slot].take());
        let arenas = slots.map(|slot| if let Slot::On(arena) = slot { Some(arena % ARENAS) } else { None });
        let first = arenas.iter().flatten().next().copied();
        let other = arenas.iter().position(|arena| arena.is_some() && *arena != first);
        let made = Group::register(members, budget);
        match (first, other) {
            (None, _) => assert_eq!(made.unwrap_err().error, MembersError::NoArena),
            (_, Some(slot)) => assert_eq!(made.unwrap_err().error, MembersError::MultipleArenas { slot }),
            (Some(arena), None) => {
                let group_made = made.expect("one arena");
                assert!(std::ptr::eq(group_made.arena(), self.machine.arena_at(arena)));
                let known = Known {
                    group: group_made,
                    slots,
                    arena,
                    budget,
                    state: Cell::new(State::AtRest),
                    sum: Cell::new(0),
                    callers: Cell::new(0),
                };
                self.groups.borrow_mut()[group % GROUPS] = Some(Rc::new(known));
            }
        }
    }

    /// If nobody is inside, for else it could not be owned.
    fn unregister(&self, group: usize) {
        let Some(known) = self.groups.borrow_mut()[group % GROUPS].take() else { return };
        match Rc::try_unwrap(known) {
            Ok(known) => {
                let back = known.group.unregister().map(|member| member.map(|member| member.number));
                let expected = [0, 1, 2, 3].map(|slot| (known.slots[slot] != Slot::Empty).then(|| number(slot)));
                assert_eq!(back, expected);
            }
            Err(inside) => self.groups.borrow_mut()[group % GROUPS] = Some(inside),
        }
    }

    fn enable(&self, known: &Known<'m, F>, mask_ids: u32, init: Init, frames: Option<usize>) {
        let before = self.machine.frames_in_use();
        self.machine.limit_frames(frames.map_or(usize::MAX, |more| before + more));
        let mut asked = false;
        let enabled = known.group.enable(ids(mask_ids), |memory| {
            asked = true;
            assert_eq!(memory.mask_ids(), ids(mask_ids));
            match init {
                Init::Agrees => Ok(()),
                Init::Refuses => Err("no"),
                Init::LooksAround => {
                    assert_eq!(known.group.enable(ids(1), |_| Err("never asked")), Err(EnableError::Busy));
                    assert_eq!(known.group.disable(|_| ()), Err(DisableError::Busy { callers: 0 }));
                    assert!((0..4).all(|slot| known.group.enter(slot).is_none()), "let in before it is set");
                    assert!(!known.group.eject() && !known.group.charge(u64::MAX));
                    Ok(())
                }
            }
        });
        self.machine.limit_frames(usize::MAX);
        if known.state.get() != State::AtRest {
            assert_eq!((enabled, asked), (Err(EnableError::NotAtRest), false));
            return;
        }
        match enabled {
            Ok(()) => {
                assert!(asked && !matches!(init, Init::Refuses));
                known.state.set(State::Present);
                known.sum.set(0);
            }
            Err(EnableError::Init("no")) => assert!(matches!(init, Init::Refuses)),
            Err(EnableError::Masks(_)) => assert!(!asked && (frames.is_some() || self.is_short(known.arena))),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Whether others have so many pages of an arena that there may be none for masks, or gave them back and nobody reclaimed.
    fn is_short(&self, arena: usize) -> bool {
        self.machine.arena_at(arena).stats().claimed_pages > PAGES / 2
    }

    fn disable(&self, known: &Known<'m, F>) {
        let mut exits = 0;
        let disabled = known.group.disable(|_| {
            exits += 1;
            assert!((0..4).all(|slot| known.group.enter(slot).is_none()), "let in at the end");
        });
        let expected = match (known.state.get(), known.callers.get()) {
            (State::AtRest, _) => Err(DisableError::NotEnabled),
            (_, 0) => Ok(()),
            (_, callers) => Err(DisableError::Busy { callers }),
        };
        assert_eq!((disabled, exits), (expected, usize::from(expected.is_ok())));
        match expected {
            Ok(()) => known.state.set(State::AtRest),
            Err(_) => _ = known.close(),
        }
    }

    /// The tasks that follow, in a call if one is to be had.
    fn enter(&self, known: &Rc<Known<'m, F>>, slot: usize, cpu: usize, tasks: &mut std::slice::Iter<'_, Task>) {
        if self.open.borrow().len() >= DEEPEST {
            return;
        }
        self.machine.on_cpu(cpu, || {
            let call = known.group.enter(slot);
            let is_there = known.slots.get(slot).is_some_and(|slot| *slot != Slot::Empty);
            assert_eq!(call.is_some(), is_there && known.state.get() == State::Present, "slot {slot}");
            let Some(call) = call else { return };
            assert_eq!(call.member().number, number(slot));
            assert!(call.mask().is_some_and(|mask| mask.span().nr() == call.equipment().mask_ids().get()));
            let open = Open { arena: known.arena, cpu, program: ProgramId::new(number(slot)), violations: 0 };
            self.open.borrow_mut().push(open);
            known.callers.set(known.callers.get() + 1);
            self.play(tasks, Some(call.equipment()));
            let violations = self.open.borrow_mut().pop().expect("its own").violations;
            assert_eq!(call.violations(), violations);
            drop(call);
            known.callers.set(known.callers.get() - 1);
            if violations > 0 {
                known.add(violations.into());
            }
        });
    }

    /// They are of the innermost call on that arena, on the CPU that this runs on: that of the innermost call of all.
    fn holes(&self, arena: usize, count: u32) {
        let arena = arena % ARENAS;
        let mut open = self.open.borrow_mut();
        let cpu = open.last().map_or(0, |open| open.cpu);
        let charged = open.iter_mut().rev().find(|open| (open.arena, open.cpu) == (arena, cpu));
        let program = charged.as_ref().and_then(|open| open.program);
        let memory = self.machine.arena_at(arena);
        for _ in 0..count {
            memory.record_hole(&ProgramHole {
                program: None,
                instruction: 1,
                offset: 8,
                access: Access::Read,
                bytes: 8,
            });
            let recorded = memory.take_violation().expect("just recorded");
            assert_eq!(recorded.program, program, "whose it is");
        }
        if let Some(open) = charged {
            open.violations += count;
        }
    }

    fn play(&self, tasks: &mut std::slice::Iter<'_, Task>, inside: Option<&Memory<'m, F>>) {
        while let Some(task) = tasks.next() {
            match *task {
                Task::Register { group, slots, budget } => self.register(group, slots, budget),
                Task::Unregister(group) => self.unregister(group),
                Task::Leave if inside.is_some() => return,
                Task::Leave => {}
                Task::Holes { arena, count } => self.holes(arena, count),
                Task::Take(bytes) => {
                    let layout = std::alloc::Layout::from_size_align(bytes.max(1), 8).unwrap();
                    // Whether there is room is the pool's business.
                    let _taken = inside.map(|memory| memory.pool().alloc(layout));
                }
                Task::Reclaim => (0..ARENAS).for_each(|arena| _ = self.machine.arena_at(arena).reclaim()),
                Task::Enable { group, ids, init, frames } => {
                    self.known(group).into_iter().for_each(|known| self.enable(&known, ids, init, frames));
                }
                Task::Disable(group) => self.known(group).into_iter().for_each(|known| self.disable(&known)),
                Task::Eject(group) => {
                    self.known(group).into_iter().for_each(|known| assert_eq!(known.group.eject(), known.close()));
                }
                Task::Charge(group, violations) => self.known(group).into_iter().for_each(|known| {
                    let ejects = known.state.get() == State::Present && known.add(violations);
                    assert_eq!(known.group.charge(violations), ejects, "{violations}");
                }),
                Task::Enter { group, slot, cpu } => {
                    if let Some(known) = self.known(group) {
                        self.enter(&known, slot, cpu % CPUS, tasks);
                    }
                }
            }
            self.groups.borrow().iter().flatten().for_each(|known| known.check());
        }
    }
}

type Memory<'m, F> = kernel_arena::groups::Equipment<'m, crate::machine::Host<F>, F>;

/// What is out: frames, and of each arena pages and holds.
fn out<F: Format>(machine: &Machine<F>) -> (usize, [(u32, u64); ARENAS]) {
    let arenas = [0, 1].map(|number| {
        let arena = machine.arena_at(number);
        arena.reclaim();
        (arena.stats().claimed_pages, arena.stats().holds)
    });
    (machine.frames_in_use(), arenas)
}

pub(super) fn play<F: Format>(tasks: &[Task]) {
    let cpus = u16::try_from(CPUS).unwrap();
    let machine = Machine::<F>::builder().arenas(ARENAS).cpus(cpus).extent(1, PAGES).frames(512).build();
    let before = out(&machine);
    let run = Run { machine: &machine, groups: RefCell::default(), open: RefCell::default() };
    run.play(&mut tasks.iter(), None);
    let groups = run.groups.take();
    let holds = out(&machine).1.map(|(_, holds)| holds);
    let expected = [0, 1].map(|arena| groups.iter().flatten().filter(|known| known.arena == arena).count() as u64);
    assert_eq!(holds, expected, "each arena is held once by each of its groups");
    drop((groups, run));
    assert_eq!(out(&machine), before);
    machine.finish();
}

fn slot() -> impl Strategy<Value = Slot> {
    prop_oneof![2 => Just(Slot::Empty), 2 => Just(Slot::Without), 5 => Just(Slot::On(0)), 1 => Just(Slot::On(1))]
}

fn violations() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..6_u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1)]
}

fn task() -> impl Strategy<Value = Task> {
    let group = || 0..GROUPS;
    let init = prop_oneof![4 => Just(Init::Agrees), 1 => Just(Init::Refuses), 1 => Just(Init::LooksAround)];
    let enable = (group(), prop_oneof![Just(64_u32), 1..=8192_u32], init, prop::option::weighted(0.2, 0..12_usize));
    prop_oneof![
        3 => (group(), [slot(), slot(), slot(), slot()], violations())
            .prop_map(|(group, slots, budget)| Task::Register { group, slots, budget }),
        1 => group().prop_map(Task::Unregister),
        5 => enable.prop_map(|(group, ids, init, frames)| Task::Enable { group, ids, init, frames }),
        3 => group().prop_map(Task::Disable),
        1 => group().prop_map(Task::Eject),
        2 => (group(), violations()).prop_map(|(group, violations)| Task::Charge(group, violations)),
        8 => (group(), 0..5_usize, 0..CPUS).prop_map(|(group, slot, cpu)| Task::Enter { group, slot, cpu }),
        6 => Just(Task::Leave),
        4 => (0..ARENAS, 0..4_u32).prop_map(|(arena, count)| Task::Holes { arena, count }),
        2 => (1..20_000_usize).prop_map(Task::Take),
        1 => Just(Task::Reclaim),
    ]
}

fn lives_of_groups_go_as_is_written_down<F: Format>() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    proptest!(config, |(tasks in proptest::collection::vec(task(), 1..80))| play::<F>(&tasks));
}

each_format!(lives_of_groups_go_as_is_written_down);
