//! The tasks: work of known length, in slices of a timer, each with the CPUs on which it may run.
//!
//! What is true of a task is here, in the kernel's memory, and no scheduler can change it: a scheduler says who is next, and
//! [`Tasks::claim`] decides whether that may be. So none is run twice at once, on a CPU that is not its own, or beyond its
//! end; and since a task that waits keeps its place in the kernel's own order all the time, none is lost with a scheduler.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use kernel_arena::platform::CpuId;
use support::MAX_CPUS;

/// A task, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskId(u8);

impl TaskId {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// As a place in a table.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Its length, in slices.
    pub slices: u32,
    /// On which CPUs: bit by number.
    pub cpus: u64,
}

/// Why a task cannot be next where a scheduler wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// There is none of that number.
    NoSuchTask(u64),
    /// It may not run on that CPU.
    NotHere(TaskId),
    /// It runs already, or is at its end.
    NotWaiting(TaskId),
}

/// No ticket: a task that runs, or is at its end.
const NONE: u64 = 0;

#[derive(Debug)]
struct Task {
    order: Order,
    cpus: AtomicU64,
    /// Its place in the kernel's own order, from 1 on, or [`NONE`]. Who exchanges it for that has the task (Acquire, paired
    /// with the Release of who gave it back).
    ticket: AtomicU64,
    left: AtomicU32,
    on: [AtomicU32; MAX_CPUS],
}

/// All tasks.
#[derive(Debug)]
pub struct Tasks {
    tasks: Box<[Task]>,
    next_ticket: AtomicU64,
    unfinished: AtomicU32,
}

/// A task that runs: nobody else can claim it.
#[derive(Debug)]
#[must_use = "a task that is not given back never runs again"]
pub struct Running(TaskId);

impl Running {
    /// Which.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.0
    }
}

impl Tasks {
    /// The most tasks that there can be.
    pub const MOST: usize = 64;

    /// Tasks that wait, in this order; of more than [`MOST`](Self::MOST) the first.
    #[must_use]
    pub fn new(orders: impl IntoIterator<Item = Order>) -> Self {
        let tasks: Box<[Task]> = (1..)
            .zip(orders.into_iter().filter(|order| order.slices > 0).take(Self::MOST))
            .map(|(ticket, order)| Task {
                order,
                cpus: AtomicU64::new(order.cpus),
                ticket: AtomicU64::new(ticket),
                left: AtomicU32::new(order.slices),
                on: [const { AtomicU32::new(0) }; MAX_CPUS],
            })
            .collect();
        let count = u32::try_from(tasks.len()).unwrap_or(0);
        Self { tasks, next_ticket: AtomicU64::new(u64::from(count) + 1), unfinished: AtomicU32::new(count) }
    }

    /// The numbers of all.
    pub fn ids(&self) -> impl Iterator<Item = TaskId> + use<> {
        (0..u8::try_from(self.tasks.len()).unwrap_or(u8::MAX)).map(TaskId)
    }

    /// How many are not at their end.
    #[must_use]
    pub fn unfinished(&self) -> u32 {
        self.unfinished.load(Ordering::Acquire)
    }

    /// The CPUs on which a task may run.
    #[must_use]
    pub fn cpus(&self, task: TaskId) -> u64 {
        self.tasks[task.index()].cpus.load(Ordering::Acquire)
    }

    /// Has a task run elsewhere from its next slice on.
    pub fn set_cpus(&self, task: TaskId, cpus: u64) {
        self.tasks[task.index()].cpus.store(cpus, Ordering::Release);
    }

    /// Whether a task waits for a CPU.
    #[must_use]
    pub fn waits(&self, task: TaskId) -> bool {
        self.tasks[task.index()].ticket.load(Ordering::Relaxed) != NONE
    }

    /// Whether a task waits that may run on this CPU.
    #[must_use]
    pub fn anyone_waits(&self, cpu: CpuId) -> bool {
        self.ids().any(|id| self.waits(id) && allows(self.cpus(id), cpu))
    }

    /// Takes the task that a scheduler says is next.
    ///
    /// # Errors
    ///
    /// [`Misplaced`]: it is not, and nothing has changed.
    pub fn claim(&self, number: u64, cpu: CpuId) -> Result<Running, Misplaced> {
        let id = self.ids().find(|id| u64::from(id.number()) == number).ok_or(Misplaced::NoSuchTask(number))?;
        if !allows(self.cpus(id), cpu) {
            return Err(Misplaced::NotHere(id));
        }
        let ticket = &self.tasks[id.index()].ticket;
        if ticket.swap(NONE, Ordering::Acquire) == NONE {
            return Err(Misplaced::NotWaiting(id));
        }
        Ok(Running(id))
    }

    /// The kernel's own scheduler: whoever waits longest and may run on this CPU.
    pub fn first_come(&self, cpu: CpuId) -> Option<Running> {
        loop {
            let waiting = self.ids().filter(|id| allows(self.cpus(*id), cpu)).filter_map(|id| {
                let ticket = self.tasks[id.index()].ticket.load(Ordering::Relaxed);
                (ticket != NONE).then_some((ticket, id))
            });
            let (ticket, id) = waiting.min_by_key(|(ticket, _)| *ticket)?;
            let word = &self.tasks[id.index()].ticket;
            if word.compare_exchange(ticket, NONE, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Some(Running(id));
            }
        }
    }

    /// A slice of its work is done on this CPU. Gives the task back, or is told that it was the last slice.
    pub fn slice_done(&self, running: Running, cpu: CpuId) -> Option<TaskId> {
        let Running(id) = running;
        let task = &self.tasks[id.index()];
        task.on[usize::from(cpu.number())].fetch_add(1, Ordering::Relaxed);
        if task.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.unfinished.fetch_sub(1, Ordering::Release);
            return None;
        }
        task.ticket.store(self.next_ticket.fetch_add(1, Ordering::Relaxed), Ordering::Release);
        Some(id)
    }

    /// How many slices were asked for.
    #[must_use]
    pub fn asked(&self, task: TaskId) -> u32 {
        self.tasks[task.index()].order.slices
    }

    /// How many slices a CPU has done of a task.
    #[must_use]
    pub fn done_on(&self, task: TaskId, cpu: usize) -> u32 {
        self.tasks[task.index()].on.get(cpu).map_or(0, |done| done.load(Ordering::Relaxed))
    }

    /// How many slices all CPUs have done of a task.
    #[must_use]
    pub fn done(&self, task: TaskId) -> u32 {
        (0..MAX_CPUS).map(|cpu| self.done_on(task, cpu)).sum()
    }
}

/// Whether a CPU is among these.
fn allows(cpus: u64, cpu: CpuId) -> bool {
    cpus >> (cpu.number() & 63) & 1 != 0
}
