//! Schedulers that do what they must not: each is found out, named with function and line, and thrown out; the kernel goes on.

use alloc::format;
use alloc::string::String;

use kernel_arena::{Violation, ViolationKind};
use kernel_arena_bpf::{Cause, Reason};
use schedule::codes;
use schedule::loaded::{Thrown, Why};
use schedule::sources::{
    FIRST_COME, FOR_EVER, FORGETFUL, LIAR, OFF_THE_END, SCRIBBLER, Source, THIEF, TRAP, USE_AFTER_FREE, WILD,
};
use schedule::tasks::Misplaced;
use schedule::timeline::By;
use support::check::{Failure, equal, holds};

use super::checks;
use super::good::chosen;
use crate::site::{Moves, Site, Told};

checks!(
    one_that_runs_off_the_end_of_its_mask,
    one_that_uses_a_page_after_it_was_freed,
    one_that_loops_for_ever,
    one_that_frees_what_is_not_its_own,
    one_that_scribbles_on_the_kernels_mask,
    one_that_has_the_kernel_follow_a_wild_pointer,
    one_that_lies_about_tasks,
    one_that_forgets_every_task,
    one_that_gives_up,
    all_of_them_one_after_another,
);

const BAD: [Source; 9] = [OFF_THE_END, USE_AFTER_FREE, FOR_EVER, THIEF, SCRIBBLER, WILD, LIAR, FORGETFUL, TRAP];

/// Loads a bad scheduler: it is thrown out, and the kernel goes on alone. Gives how it ended, what is in the record, and how many
/// violations were charged to it.
fn thrown_out(site: Site, source: Source) -> Result<(Thrown, alloc::vec::Vec<Violation>, u64), Failure> {
    let (work, mut outcomes) = site.work(&site.anywhere(6, 10), &[source], Moves::None, |_| ())?;
    let outcome = outcomes.pop().ok_or_else(|| Failure::new("it is still there"))?;
    let thrown = outcome.thrown.ok_or_else(|| Failure::new("it was not thrown out"))?;
    holds("the kernel went on by itself", chosen(&work, site.cpus(), By::Kernel) > 0)?;
    Ok((thrown, outcome.records, outcome.violations))
}

/// What is in a report, and where it points.
fn says(thrown: &Thrown, words: &[&str]) -> Result<(), Failure> {
    match words.iter().find(|word| !thrown.report.contains(**word)) {
        Some(word) => Err(Failure::new(format!("the report does not say `{word}`: {}", thrown.report))),
        None => Ok(()),
    }
}

fn one_that_runs_off_the_end_of_its_mask(site: Site) -> Told {
    let (thrown, records, violations) = thrown_out(site, OFF_THE_END)?;
    equal("why", (thrown.why, thrown.function), (Why::Violations, "set_cmask"))?;
    says(&thrown, &["program off_the_end", "read of 8 bytes", "set_cmask+", "off_the_end.c:"])?;
    holds("every hit was counted", violations > 500)?;
    let read =
        |record: &Violation| record.kind == ViolationKind::Read && record.bytecode.is_some_and(|code| code.bytes == 8);
    holds("each record has instruction and size", !records.is_empty() && records.iter().all(read))?;
    Ok(format!("{violations} holes in one call"))
}

fn one_that_uses_a_page_after_it_was_freed(site: Site) -> Told {
    let (thrown, records, violations) = thrown_out(site, USE_AFTER_FREE)?;
    equal("why", (thrown.why, thrown.function), (Why::Violations, "dispatch"))?;
    says(&thrown, &["write of 8 bytes", "dispatch+", "use_after_free.c:", "free"])?;
    equal("violations, and records", (violations >= 9, records.len() >= 9), (true, true))?;
    holds("all of them writes", records.iter().all(|record| record.kind == ViolationKind::Write))?;
    Ok(String::new())
}

fn one_that_loops_for_ever(site: Site) -> Told {
    let (thrown, ..) = thrown_out(site, FOR_EVER)?;
    equal("why", (thrown.why, thrown.function), (Why::Ended(Reason::OutOfBudget), "dispatch"))?;
    says(&thrown, &["budget", "ended at instruction", "dispatch+", "queue.h:"])?;
    Ok(String::new())
}

fn one_that_frees_what_is_not_its_own(site: Site) -> Told {
    let (thrown, records, violations) = thrown_out(site, THIEF)?;
    equal("why", (thrown.why, thrown.function), (Why::Violations, "set_cmask"))?;
    let refused = |record: &Violation| record.kind == ViolationKind::InvalidFree && record.program.is_some();
    holds("all of them refused, by name", records.len() >= 9 && records.iter().all(refused))?;
    Ok(format!("{violations} frees refused"))
}

fn one_that_scribbles_on_the_kernels_mask(site: Site) -> Told {
    let (thrown, ..) = thrown_out(site, SCRIBBLER)?;
    let by_host = matches!(
        thrown.why,
        Why::Ended(Reason::Ejected(Cause::Host { code: codes::BAD_MASK, .. })) if thrown.function == "set_cmask"
    );
    if by_host { Ok(String::new()) } else { Err(Failure::new(format!("{thrown:?}"))) }
}

fn one_that_has_the_kernel_follow_a_wild_pointer(site: Site) -> Told {
    let (thrown, records, violations) = thrown_out(site, WILD)?;
    equal("why", (thrown.why, thrown.function), (Why::Violations, "dispatch"))?;
    // The kernel's own access, by an instruction of the kernel's, for the program.
    let kernels = |record: &Violation| {
        record.kind == ViolationKind::Read && record.bytecode.is_none() && record.program.is_some()
    };
    holds("each is a recovered fault of the kernel's", records.len() >= 9 && records.iter().all(kernels))?;
    Ok(format!("{violations} faults recovered"))
}

fn one_that_lies_about_tasks(site: Site) -> Told {
    let (thrown, ..) = thrown_out(site, LIAR)?;
    let lied = matches!(thrown.why, Why::Misplaced(Misplaced::NoSuchTask(_) | Misplaced::NotWaiting(_)));
    holds("it named a task that could not be next", lied)?;
    says(&thrown, &["dispatch named a task"])?;
    Ok(String::new())
}

fn one_that_forgets_every_task(site: Site) -> Told {
    let (thrown, ..) = thrown_out(site, FORGETFUL)?;
    equal("why", (thrown.why, thrown.function), (Why::Stalled, "dispatch"))?;
    Ok(String::new())
}

fn one_that_gives_up(site: Site) -> Told {
    let (thrown, ..) = thrown_out(site, TRAP)?;
    equal("why", (thrown.why, thrown.function), (Why::Ended(Reason::Trap), "dispatch"))?;
    says(&thrown, &["trap", "dispatch+", "trap.c:"])?;
    Ok(String::new())
}

/// Without a restart, and each on an arena of its own: the last one is good, and does what is left.
fn all_of_them_one_after_another(site: Site) -> Told {
    let mut schedulers = BAD.to_vec();
    schedulers.push(FIRST_COME);
    let (work, outcomes) = site.work(&site.anywhere(12, 50), &schedulers, Moves::None, |_| ())?;
    equal("schedulers", outcomes.len(), schedulers.len())?;
    for outcome in &outcomes[..BAD.len()] {
        holds(&format!("{} was thrown out", outcome.name), outcome.thrown.is_some())?;
    }
    holds("the last was not", outcomes[BAD.len()].thrown.is_none())?;
    let last = u8::try_from(BAD.len()).unwrap_or(u8::MAX);
    Ok(format!("{} of {} slices by the last", chosen(&work, site.cpus(), By::Loaded(last)), 600 * site.factor))
}
