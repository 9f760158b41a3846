//! Schedulers that do their work, and the kernel's own.

use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering};

use schedule::loaded::Outcome;
use schedule::sources::{FIRST_COME, MASKS};
use schedule::tasks::Order;
use schedule::timeline::By;
use schedule::work::Work;
use support::Random;
use support::check::{Failure, equal, holds};

use super::checks;
use crate::site::{Moves, Site, Told};

checks!(
    the_kernel_alone_comes_to_the_end,
    first_come_is_first_served,
    every_task_runs_where_its_mask_allows,
    tasks_that_are_moved_run_where_they_may,
    one_scheduler_follows_another,
);

/// How many slices were chosen by whom.
pub(super) fn chosen(work: &Work, cpus: usize, by: By) -> usize {
    (0..cpus).flat_map(|cpu| work.timeline().of(cpu)).filter(|slice| slice.by == by).count()
}

/// The only outcome, of a scheduler that did nothing wrong.
fn blameless(outcomes: &[Outcome]) -> Result<&Outcome, Failure> {
    let [outcome] = outcomes else { return Err(Failure::new(format!("{} outcomes", outcomes.len()))) };
    match &outcome.thrown {
        Some(thrown) => Err(Failure::new(format!("{} was thrown out: {thrown:?}", outcome.name))),
        None => equal("violations", (outcome.violations, outcome.records.len()), (0, 0)).map(|()| outcome),
    }
}

fn the_kernel_alone_comes_to_the_end(site: Site) -> Told {
    let (work, outcomes) = site.work(&site.anywhere(6, 4), &[], Moves::None, |_| ())?;
    equal("schedulers", outcomes.len(), 0)?;
    equal("slices by the kernel", chosen(&work, site.cpus(), By::Kernel), 24 * site.factor as usize)?;
    Ok(String::new())
}

fn first_come_is_first_served(site: Site) -> Told {
    let (work, outcomes) = site.work(&site.anywhere(6, 4), &[FIRST_COME], Moves::None, |_| ())?;
    blameless(&outcomes)?;
    equal("slices by the scheduler", chosen(&work, site.cpus(), By::Loaded(0)), 24 * site.factor as usize)?;
    if site.cpus() == 1 {
        // One after the other, again and again.
        let order = work.timeline().of(0);
        let in_turn = order.iter().enumerate().all(|(place, slice)| slice.task.index() == place % 6);
        holds("tasks take turns in the order in which they came", in_turn)?;
    }
    Ok(String::new())
}

/// Tasks with masks of all kinds, none of them empty.
fn with_masks(site: Site, tasks: u32, slices: u32) -> alloc::vec::Vec<Order> {
    let mut random = Random::new(5);
    let mask = |random: &mut Random| 1 + u64::from(random.below(u32::try_from(site.all_cpus()).unwrap_or(1)));
    (0..tasks).map(|_| Order { slices: slices * site.factor, cpus: mask(&mut random) }).collect()
}

/// T158: one mask at least for each task, before it first waits; of the geometry that the kernel has; and one call for each time
/// that a task waits.
fn every_task_runs_where_its_mask_allows(site: Site) -> Told {
    let orders = with_masks(site, 20, 3);
    let (work, outcomes) = site.work(&orders, &[MASKS], Moves::None, |_| ())?;
    let outcome = blameless(&outcomes)?;
    let all: u64 = orders.iter().map(|order| u64::from(order.slices)).sum();
    equal("slices by the scheduler", chosen(&work, site.cpus(), By::Loaded(0)) as u64, all)?;
    let [set, first, enqueued, geometry, late, _] = outcome.counts.ok_or_else(|| Failure::new("it has no counts"))?;
    equal("masks, and tasks that got one", (set, first), (20, 20))?;
    equal("calls of enqueue", enqueued, all)?;
    equal("masks of another geometry, and tasks that waited before they had one", (geometry, late), (0, 0))?;
    Ok(format!("{set} masks, {enqueued} waits"))
}

fn tasks_that_are_moved_run_where_they_may(site: Site) -> Told {
    let orders = site.anywhere(10, 20);
    let seed = AtomicU64::new(9);
    let mask = u32::try_from(site.all_cpus()).unwrap_or(1);
    let (work, outcomes) = site.work(&orders, &[MASKS], Moves::Some, |work| {
        // On the boot CPU alone.
        let mut random = Random::new(seed.fetch_add(1, Ordering::Relaxed));
        let (task, cpus) = (random.below(10), 1 + random.below(mask));
        if let Some(task) = work.tasks().ids().nth(task as usize) {
            work.move_to(task, cpus.into());
        }
    })?;
    let outcome = blameless(&outcomes)?;
    let [set, first, _, geometry, late, _] = outcome.counts.ok_or_else(|| Failure::new("it has no counts"))?;
    equal("tasks that got a mask, bad ones, late ones", (first, geometry, late), (10, 0, 0))?;
    holds("tasks were moved", set > first)?;
    let moved = chosen(&work, site.cpus(), By::Loaded(0));
    equal("slices by the scheduler", moved, 200 * site.factor as usize)?;
    Ok(format!("{} moves", set - first))
}

fn one_scheduler_follows_another(site: Site) -> Told {
    // The first is thrown out at once, for reasons of its own; what follows has an arena of its own.
    let schedulers = [schedule::sources::TRAP, MASKS];
    let (work, outcomes) = site.work(&site.anywhere(8, 100), &schedulers, Moves::None, |_| ())?;
    equal("schedulers", outcomes.len(), 2)?;
    holds("the first was thrown out", outcomes[0].thrown.is_some())?;
    blameless(&outcomes[1..])?;
    let second = chosen(&work, site.cpus(), By::Loaded(1));
    holds("the second is asked", second > 0)?;
    Ok(format!("{second} of {} slices by the second", 800 * site.factor))
}
