//! Runs a scenario: looks up what a task means now, does it, lets others come in between, and judges.
//!
//! Whenever somebody else is about to run, and whenever an operation has returned, the pages are looked at (`look`).

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use kernel_arena::platform::CpuId;
use kernel_arena::views::{FaultPolicy, ViewRights};
use kernel_arena::{ArenaPtr, ProgramBase, ProgramId};

use super::act::{Outcome, act};
use super::judge::Bench;
use super::model::{Model, State};
use super::run::{Action, Effects, Request, Run};
use super::tasks::{Interrupt, Step, Task, Trouble};
use crate::machine::{Format, Machine, Point};

pub(super) struct World {
    pub(super) oracle: RefCell<Oracle>,
    plan: RefCell<VecDeque<Interrupt>>,
}

/// All that the test knows.
pub(super) struct Oracle {
    pub(super) models: Vec<Model>,
    /// The operation that is going on, and the one that has interrupted it.
    pub(super) runs: Vec<Run>,
    pub(super) views: Vec<View>,
    /// Nobody knows which CPU this is.
    nameless: bool,
    next_value: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) arena: usize,
    pub(super) tag: u16,
    pub(super) base: ProgramBase,
    pub(super) rights: ViewRights,
    pub(super) policy: FaultPolicy,
}

impl View {
    pub(super) fn is_writable(self) -> bool {
        self.rights == ViewRights::ReadWrite
    }
}

impl World {
    pub(super) fn new<F: Format>(m: &Machine<F>, arenas: usize) -> Rc<Self> {
        let oracle = Oracle { models: Vec::new(), runs: Vec::new(), views: Vec::new(), nameless: false, next_value: 0 };
        let world = Rc::new(Self { oracle: RefCell::new(oracle), plan: RefCell::default() });
        for number in 0..arenas {
            world.add_arena(m, number);
        }
        let points = [
            Point::FrameAlloc,
            Point::FrameFree,
            Point::BeforeFlush,
            Point::AfterFlush,
            Point::CpuIdentity,
            Point::PhysMap,
        ];
        for point in points {
            let world = Rc::clone(&world);
            m.hook(point, move |m| world.arrive_at(m, point));
        }
        world
    }

    fn add_arena<F: Format>(&self, m: &Machine<F>, number: usize) {
        let layout = m.arena_at(number).layout();
        let (first, count) = (layout.extent().first().number(), layout.extent().count().get());
        let frames = layout.table_frames().get() as usize;
        self.oracle.borrow_mut().models.push(Model::new(layout.base().value(), first, count, frames));
    }

    /// Attaches a program view.
    pub(super) fn attach<F: Format>(
        &self,
        m: &Machine<F>,
        arena: usize,
        tag: u16,
        rights: ViewRights,
        policy: FaultPolicy,
    ) {
        let base = m.try_attach_view(arena, tag, rights, policy).expect("there is room for three");
        self.oracle.borrow_mut().views.push(View { arena, tag, base, rights, policy });
    }

    /// A task from its beginning to its end, with all that comes in between.
    pub(super) fn step<F: Format>(&self, m: &Machine<F>, step: &Step, frames: usize) {
        match step.trouble {
            Trouble::None => {}
            Trouble::FailAt(n) => m.fail_frame(Some(n)),
            Trouble::Left(left) => m.limit_frames(m.frames_in_use() + left as usize),
        }
        *self.plan.borrow_mut() = step.interrupts.iter().copied().collect();
        self.run(m, &step.task, step.trouble);
        self.plan.borrow_mut().clear();
        m.fail_frame(None);
        m.limit_frames(frames);
    }

    /// The arena has called the platform.
    fn arrive_at<F: Format>(&self, m: &Machine<F>, point: Point) {
        let task = {
            let mut plan = self.plan.borrow_mut();
            let Some(next) = plan.front_mut().filter(|next| next.at.is_none_or(|at| at == point)) else {
                return;
            };
            match next.after.checked_sub(1) {
                Some(after) => {
                    next.after = after;
                    return;
                }
                None => plan.pop_front().expect("it was there").task,
            }
        };
        let Some(trouble) = self.oracle.borrow_mut().interrupt(m) else {
            return;
        };
        self.run(m, &task, trouble);
    }

    fn run<F: Format>(&self, m: &Machine<F>, task: &Task, trouble: Trouble) {
        // What comes in between is counted from the operation's own first call of the platform on.
        let plan = self.plan.take();
        let (action, arena, nested, was_nameless) = {
            let mut oracle = self.oracle.borrow_mut();
            let action = oracle.look_up(task);
            let nested = !oracle.runs.is_empty();
            let was_nameless = oracle.nameless;
            let run = oracle.begin(task, action, trouble);
            let arena = run.arena;
            oracle.runs.push(run);
            (action, arena, nested, was_nameless)
        };
        let doing = || {
            let interrupted = m.cpu(task.cpu).switch_to(task.tag);
            let done = m.on_cpu(task.cpu, || {
                let _scope = m.arena_at(arena).work_for(ProgramId::new(task.program));
                *self.plan.borrow_mut() = plan;
                let outcome = act(m, self, task.cpu, arena, action);
                let rest = self.plan.take();
                (outcome, rest)
            });
            m.cpu(task.cpu).switch_to(interrupted);
            done
        };
        let (outcome, rest) = if task.nameless { m.nameless(doing) } else { doing() };
        let mut oracle = self.oracle.borrow_mut();
        oracle.nameless = was_nameless;
        if action_creates(&action, &outcome) {
            drop(oracle);
            self.add_arena(m, 1);
            oracle = self.oracle.borrow_mut();
        }
        oracle.finish(m, outcome, task.cpu);
        drop(oracle);
        // The interrupted one goes on with what is left of its interruptions.
        if nested {
            *self.plan.borrow_mut() = rest;
        }
    }
}

fn action_creates(action: &Action, outcome: &Outcome) -> bool {
    matches!((action, outcome), (Action::Create, Outcome::Created(Ok(()))))
}

impl Oracle {
    fn begin(&mut self, task: &Task, action: Action, trouble: Trouble) -> Run {
        let arena = task.arena.min(self.models.len() - 1);
        self.nameless |= task.nameless;
        let known = !self.nameless;
        Run {
            action,
            arena,
            on: task.cpu,
            cpu: known.then(|| CpuId::new(u16::try_from(task.cpu).unwrap())),
            program: ProgramId::new(task.program).filter(|_| known),
            trouble,
            start: self.models[arena].pages.clone(),
            effects: Effects::default(),
            touched: BTreeSet::new(),
            scratched_by_others: false,
            interrupted: false,
            ghosts: Default::default(),
            changed: BTreeSet::new(),
        }
    }

    /// Puts what the interrupted operation has done so far down to it. The trouble that its step has with frames; `None` if no
    /// operation is going on.
    fn interrupt<F: Format>(&mut self, m: &Machine<F>) -> Option<Trouble> {
        if self.runs.is_empty() {
            return None;
        }
        self.observe(m);
        let outer = self.runs.last_mut()?;
        outer.interrupted = true;
        Some(outer.trouble)
    }

    fn finish<F: Format>(&mut self, m: &Machine<F>, outcome: Outcome, cpu: usize) {
        self.observe(m);
        let action = self.runs.last().expect("it was going on").action;
        if let (Action::Free { range, .. }, Outcome::Free(Err(_))) = (action, &outcome) {
            self.refused_free(range.offset);
        }
        let run = self.runs.pop().expect("it was going on");
        if let (Action::Alloc(Request { exactly: None, .. }), Some(cpu), true) = (run.action, run.cpu, run.interrupted)
        {
            self.models[run.arena].moved.insert(cpu.number());
        }
        let bench = self.bench(&run);
        match (run.action, &outcome) {
            (Action::Alloc(request), Outcome::Alloc(result)) => bench.alloc(request, *result),
            (Action::Free { range, .. }, Outcome::Free(result)) => bench.free(range, *result),
            (Action::Reserve { range, .. }, Outcome::Reserve(result)) => bench.reserve(range, *result),
            (Action::Reclaim, Outcome::Reclaim(done)) => bench.reclaim(*done),
            (Action::Create, Outcome::Created(created)) => {
                assert!(created.is_ok() || !matches!(run.trouble, Trouble::None), "{created:?}");
            }
            _ => {}
        }
        let hidden = bench.hidden;
        match outcome {
            Outcome::Reclaim(_) => self.reclaimed(&run, &hidden),
            Outcome::Accessed(result) => self.accessed(&run, result),
            Outcome::Alloc(Ok(pages)) => self.handed_out(m, &run, pages, cpu),
            Outcome::Drained(taken) => self.drained(&run, &taken),
            _ => {}
        }
    }

    fn bench<'a>(&'a self, run: &'a Run) -> Bench<'a> {
        let model = &self.models[run.arena];
        let outer = self.runs.last().filter(|outer| outer.arena == run.arena);
        let hidden = outer.map_or_else(BTreeSet::new, |outer| outer.may_hold(&run.start));
        let unqueued = run.start.keys().filter(|page| outer.is_some_and(|outer| outer.may_hold_queued(**page)));
        let unqueued = unqueued.copied().collect();
        let frames_unsure = run.interrupted || !self.runs.is_empty();
        Bench { run, model, hidden, unqueued, frames_unsure }
    }

    /// Old marks are gone, and the scratch page is zero, but for what was written meanwhile.
    fn reclaimed(&mut self, run: &Run, hidden: &BTreeSet<u32>) {
        let model = &mut self.models[run.arena];
        for (page, at) in &mut model.pages {
            let was_marked = at.may_be_marked;
            let nobodys = matches!(at.seen.state, State::Free | State::Elsewhere);
            if nobodys && !at.seen.scratch && !hidden.contains(page) && !run.touched.contains(page) {
                at.may_be_marked = false;
            }
            // A mark that is gone is seen by no look at the page, but by the search of an allocation.
            if let Some(outer) = self.runs.last_mut().filter(|outer| was_marked && outer.arena == run.arena) {
                outer.touched.insert(*page);
            }
        }
        for values in &mut model.scratch {
            if !run.interrupted {
                values.clear();
            }
            values.insert(0);
        }
    }

    /// A number that was never used, to be written somewhere.
    pub(super) fn new_value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value << 32 | 0xc0de
    }
}

/// A byte of the window that is not its first, which has no pointer.
pub(super) fn pointer(offset: u32) -> ArenaPtr {
    ArenaPtr::new(offset).expect("not null")
}
