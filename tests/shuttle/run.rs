//! Random runs: which CPU makes the next step, and what each of them does.

use std::sync::Arc;

use loom::rand::{Rng, thread_rng};
use loom::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use loom::{Config, Runner};

use crate::machine::{CPUS, on_cpu};

/// Runs of each kind.
const RUNS: usize = if cfg!(feature = "long") { 1_000_000 } else { 10_000 };
/// How often a CPU is preempted where it hurts, in the runs of few preemptions ("A Randomized Scheduler with Probabilistic
/// Guarantees of Finding Bugs", Burckhardt et al., ASPLOS 2010).
const DEPTH: usize = 4;

/// Runs `scene` in schedules that change CPUs at any step, and in such as change them seldom.
pub(crate) fn at_random(scene: fn()) {
    run(RandomScheduler::new(RUNS), scene);
    run(PctScheduler::new(DEPTH, RUNS), scene);
}

fn run(scheduler: impl Scheduler + 'static, scene: fn()) {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    Runner::new(scheduler, config).run(scene);
}

/// A number below `end`.
pub(crate) fn below(end: u32) -> u32 {
    thread_rng().gen_range(0..end)
}

/// Has each CPU do its part, with what they share.
pub(crate) fn all_cpus<T: Send + Sync + 'static>(shared: &Arc<T>, part: fn(&T, u16)) {
    let cpus: Vec<_> = (0..CPUS)
        .map(|cpu| {
            let shared = Arc::clone(shared);
            loom::thread::spawn(move || on_cpu(cpu, || part(&shared, cpu)))
        })
        .collect();
    cpus.into_iter().for_each(|cpu| cpu.join().expect("a CPU that does not panic"));
}
