//! How executions are explored: all that there are, within a bound on preemptions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use crate::frames::Memory;
use crate::race::First;

/// Every execution, however often CPUs preempt each other.
pub(crate) const UNBOUNDED: Option<usize> = None;

/// Every execution in which CPUs preempt each other at most `count` times.
pub(crate) const fn preemptions(count: usize) -> Option<usize> {
    Some(count)
}

/// The same, of a model whose executions with `long` preemptions take long: only where the feature `long` asks for it.
pub(crate) const fn preemptions_if_long(fast: usize, long: usize) -> Option<usize> {
    Some(if cfg!(feature = "long") { long } else { fast })
}

/// The same, of a model all of whose executions take long: all of them only where the feature `long` asks for them.
pub(crate) const fn bounded_unless_long(fast: usize) -> Option<usize> {
    if cfg!(feature = "long") { UNBOUNDED } else { preemptions(fast) }
}

/// Runs every execution of `model` within the bound on preemptions, once for each of `cpus` CPUs going first, and says
/// how many they were. Each is lent memory for an arena.
pub(crate) fn explore(
    name: &str,
    bound: Option<usize>,
    cpus: u16,
    model: impl Fn(&Arc<Memory>, First) + Send + Sync + 'static,
) {
    let memory = Memory::new();
    explore_without_arena(name, bound, cpus, move |first| model(&memory, first));
}

/// The same, for what wants no arena.
pub(crate) fn explore_without_arena(
    name: &str,
    bound: Option<usize>,
    cpus: u16,
    model: impl Fn(First) + Send + Sync + 'static,
) {
    let model = Arc::new(model);
    for first in 0..cpus {
        let executions = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let mut builder = loom::model::Builder::new();
        // The model alone says what is explored, whatever the environment says.
        builder.preemption_bound = bound;
        builder.max_permutations = None;
        builder.max_duration = None;
        builder.max_branches = 10_000;
        let (model, count) = (Arc::clone(&model), Arc::clone(&executions));
        builder.check(move || {
            count.fetch_add(1, SeqCst);
            model(first);
        });
        let (count, time) = (executions.load(SeqCst), started.elapsed());
        println!("{name}, CPU {first} first: {count} executions in {time:.1?}");
    }
}
