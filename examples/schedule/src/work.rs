//! The CPUs at work: each asks who is next, and gives that task a slice of its time.
//!
//! Who is asked is the scheduler that is loaded, or, where there is none, the kernel itself ([`Tasks::first_come`]). A lock for
//! readers and a writer stands between: whoever chooses holds it as a reader, and whoever loads a scheduler or takes one
//! away as the writer. So a scheduler that begins hears of every task that waits, and none is chosen behind its back.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_arena::platform::CpuId;
use spin::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use support::check::{Failure, Trouble};
use support::{MAX_CPUS, Machine, arm_timer, cpu_id, disarm_timer, interruptible, relax, set_interrupt_handler};

use crate::Arenas;
use crate::loaded::{Loaded, Outcome};
use crate::sources::Source;
use crate::tasks::{Misplaced, Running, TaskId, Tasks};
use crate::timeline::{By, Slice, Timeline};

/// A slice, in microseconds.
const SLICE: u32 = 200;

/// Whether a CPU's slice is over.
static OVER: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// A timer has interrupted this CPU.
fn slice_is_over() {
    OVER[usize::from(cpu_id().number())].store(true, Ordering::Relaxed);
}

/// The tasks and whoever schedules them.
#[derive(Debug)]
pub struct Work {
    machine: &'static Machine,
    registry: &'static Arenas,
    tasks: Tasks,
    timeline: Timeline,
    scheduler: RwLock<Option<Loaded>>,
    /// Counts the changes of tasks' CPUs twice, at the begin and at the end: odd while one is on its way.
    moves: AtomicU64,
    /// Schedulers that are to be loaded, one when another was thrown out; the last first.
    next: Mutex<Vec<Source>>,
    count: AtomicU32,
    /// How many slices the kernel chooses itself before another scheduler is loaded, and has chosen since the last one.
    rest: u32,
    rested: AtomicU32,
    outcomes: Mutex<Vec<Outcome>>,
}

impl Work {
    /// Nothing is done yet, and no scheduler loaded.
    #[must_use]
    pub fn new(machine: &'static Machine, registry: &'static Arenas, tasks: Tasks) -> Self {
        let slices = tasks.ids().map(|task| tasks.asked(task) as usize).sum();
        Self {
            machine,
            registry,
            tasks,
            timeline: Timeline::new(machine.cpu_count(), slices),
            scheduler: RwLock::new(None),
            moves: AtomicU64::new(0),
            next: Mutex::new(Vec::new()),
            count: AtomicU32::new(0),
            rest: 0,
            rested: AtomicU32::new(0),
            outcomes: Mutex::new(Vec::with_capacity(8)),
        }
    }

    /// The same, where the kernel goes on by itself for so many slices after a scheduler was thrown out.
    #[must_use]
    pub const fn with_rest(mut self, slices: u32) -> Self {
        self.rest = slices;
        self
    }

    /// The tasks.
    #[must_use]
    pub const fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// What ran where.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// How the schedulers ended that were loaded, in their order.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Outcome> {
        core::mem::take(&mut *self.outcomes.lock())
    }

    /// Runs all tasks to their ends on all CPUs, by these schedulers: each takes the place of the one before when that was thrown
    /// out; where none is left, the kernel goes on alone. `meanwhile` runs on the boot CPU again and again.
    ///
    /// # Errors
    ///
    /// The first scheduler, or one that was to follow, could not be loaded for a reason that is none of its own.
    pub fn run(&self, schedulers: Vec<Source>, meanwhile: impl Fn(&Self) + Sync) -> Result<(), Failure> {
        set_interrupt_handler(slice_is_over);
        *self.next.lock() = schedulers.into_iter().rev().collect();
        let trouble = Trouble::new();
        self.load_next(&trouble);
        self.machine.run_on_all(|cpu| {
            while self.tasks.unfinished() > 0 && !trouble.is_there() {
                if cpu.number() == 0 {
                    self.replace(&trouble);
                    meanwhile(self);
                }
                match self.choose(cpu) {
                    Some((running, by)) => self.slice(running, by, cpu),
                    None => relax(),
                }
            }
        });
        self.unload(&trouble);
        trouble.take()
    }

    /// Has a task run elsewhere, and says so to the scheduler.
    pub fn move_to(&self, task: TaskId, cpus: u64) {
        let _even = self.moves.fetch_add(1, Ordering::AcqRel);
        self.tasks.set_cpus(task, cpus);
        if let Some(loaded) = &*self.read() {
            loaded.set_cmask(task, cpus);
        }
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    /// Who is next on this CPU.
    fn choose(&self, cpu: CpuId) -> Option<(Running, By)> {
        let scheduler = self.read();
        let Some(loaded) = scheduler.as_ref().filter(|loaded| loaded.is_present()) else {
            let running = self.tasks.first_come(cpu)?;
            self.rested.fetch_add(1, Ordering::Relaxed);
            return Some((running, By::Kernel));
        };
        let moves = self.moves.load(Ordering::Acquire);
        let Some(number) = loaded.dispatch(cpu) else {
            if loaded.is_present() && self.tasks.anyone_waits(cpu) {
                loaded.has_said_none();
            }
            return None;
        };
        match self.tasks.claim(number, cpu) {
            Ok(running) => {
                loaded.has_chosen();
                Some((running, By::Loaded(loaded.place())))
            }
            // It may have read what was true a moment ago: that is no fault. It has the task from its queue: back with it.
            Err(Misplaced::NotHere(task)) if !self.is_settled_since(moves) => {
                loaded.enqueue(task);
                None
            }
            Err(misplaced) => {
                loaded.accuse(misplaced);
                None
            }
        }
    }

    /// Whether no task's CPUs have changed since, nor are just being changed.
    fn is_settled_since(&self, moves: u64) -> bool {
        moves.is_multiple_of(2) && self.moves.load(Ordering::Acquire) == moves
    }

    /// A slice of a task's work.
    fn slice(&self, running: Running, by: By, cpu: CpuId) {
        let over = &OVER[usize::from(cpu.number())];
        over.store(false, Ordering::Relaxed);
        interruptible(|| {
            arm_timer(SLICE);
            while !over.load(Ordering::Relaxed) {
                relax();
            }
        });
        disarm_timer();
        self.timeline.note(cpu, Slice { task: running.id(), by });
        let scheduler = self.read();
        if let Some(task) = self.tasks.slice_done(running, cpu)
            && let Some(loaded) = &*scheduler
        {
            loaded.enqueue(task);
        }
    }

    /// If the scheduler was thrown out: takes it away, and loads the next when it is time. On the boot CPU.
    fn replace(&self, trouble: &Trouble) {
        if self.read().as_ref().is_some_and(|loaded| !loaded.is_present()) {
            self.unload(trouble);
            self.rested.store(0, Ordering::Relaxed);
        }
        let alone = self.read().is_none();
        if alone && self.rested.load(Ordering::Relaxed) >= self.rest {
            self.load_next(trouble);
        }
    }

    /// Takes the scheduler away, with its arena: it is called no more.
    fn unload(&self, trouble: &Trouble) {
        let loaded = self.write().take();
        match loaded.map(Loaded::unload) {
            Some(Ok(outcome)) => self.outcomes.lock().push(outcome),
            Some(Err(failure)) => trouble.note(failure),
            None => {}
        }
    }

    /// Loads the next scheduler, if there is one, and tells it of all that waits.
    fn load_next(&self, trouble: &Trouble) {
        let Some(source) = self.next.lock().pop() else { return };
        let place = u8::try_from(self.count.fetch_add(1, Ordering::Relaxed)).unwrap_or(u8::MAX);
        match Loaded::load(self.machine, self.registry, source, place, &self.tasks) {
            Ok(loaded) => {
                let mut scheduler = self.write();
                for task in self.tasks.ids() {
                    loaded.set_cmask(task, self.tasks.cpus(task));
                    if self.tasks.waits(task) {
                        loaded.enqueue(task);
                    }
                }
                *scheduler = Some(loaded);
            }
            Err(failure) => trouble.note(failure),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Loaded>> {
        loop {
            if let Some(guard) = self.scheduler.try_read() {
                return guard;
            }
            relax();
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Loaded>> {
        loop {
            if let Some(guard) = self.scheduler.try_write() {
                return guard;
            }
            relax();
        }
    }
}
