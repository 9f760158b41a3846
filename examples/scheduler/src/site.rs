//! Where checks are run, and what holds after each: all work is done, and every frame is back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use schedule::loaded::Outcome;
use schedule::sources::Source;
use schedule::tasks::{Order, Tasks};
use schedule::work::Work;
use support::Machine;
use support::check::{Failure, equal, holds};

use crate::checks::Check;
use crate::fault::REGISTRY;

/// What a check has to say beside that it passed.
pub(crate) type Told = Result<String, Failure>;

/// What checks are run with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) machine: &'static Machine,
    /// How much more is done than the least.
    pub(crate) factor: u32,
}

/// Whether tasks stay where they were to run at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    /// They do.
    None,
    /// They are moved: what is looked at is where they may run at the end, by the kernel's own claim.
    Some,
}

impl Site {
    /// Runs a check.
    pub(crate) fn run(self, check: &Check) -> Told {
        let frames = self.machine.frames().free_count();
        let told = (check.body)(self);
        equal("frames after the check", self.machine.frames().free_count(), frames)?;
        told
    }

    /// How many CPUs there are.
    pub(crate) fn cpus(self) -> usize {
        self.machine.cpu_count() as usize
    }

    /// All CPUs, as a mask.
    pub(crate) fn all_cpus(self) -> u64 {
        (1 << self.machine.cpu_count()) - 1
    }

    /// So many tasks of so many slices, times the factor, on any CPU.
    pub(crate) fn anywhere(self, tasks: u32, slices: u32) -> Vec<Order> {
        (0..tasks).map(|_| Order { slices: slices * self.factor, cpus: self.all_cpus() }).collect()
    }

    /// Has everything done, by these schedulers, and balances the books.
    pub(crate) fn work(
        self,
        orders: &[Order],
        schedulers: &[Source],
        moves: Moves,
        meanwhile: impl Fn(&Work) + Sync,
    ) -> Result<(Work, Vec<Outcome>), Failure> {
        let work = Work::new(self.machine, &REGISTRY, Tasks::new(orders.iter().copied()));
        work.run(schedulers.to_vec(), meanwhile)?;
        let cpus = self.cpus();
        let mut in_pictures = alloc::vec![0; orders.len()];
        for cpu in 0..cpus {
            for slice in work.timeline().of(cpu) {
                in_pictures[slice.task.index()] += 1;
            }
        }
        for task in work.tasks().ids() {
            let order = orders[task.index()];
            equal(&format!("slices of task {}", task.number()), work.tasks().done(task), order.slices)?;
            equal("slices in the timeline", in_pictures[task.index()], order.slices)?;
            if moves == Moves::None {
                let outside = (0..cpus).filter(|cpu| order.cpus >> cpu & 1 == 0);
                let wrong: u32 = outside.map(|cpu| work.tasks().done_on(task, cpu)).sum();
                equal(&format!("slices of task {} where it may not run", task.number()), wrong, 0)?;
            }
        }
        let outcomes = work.outcomes();
        holds("no more schedulers ended than there were", outcomes.len() <= schedulers.len())?;
        Ok((work, outcomes))
    }
}
