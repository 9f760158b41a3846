//! `cargo xtask test`: the tests that were asked for, one line each, and one summary.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::cli::{TestMode, Tests};
use crate::groups::{Group, Lane, Site};
use crate::kernels::ahead;
use crate::part::Selection;
use crate::setup::{self, Want};
use crate::status::{Status, Stop};
use crate::verdict::{Report, Verdict};
use crate::workspace::Workspace;

/// Runs or lists tests.
///
/// # Errors
///
/// Something needed is missing, or no test has such a name; in list mode also: something does not build.
pub(crate) fn run(workspace: &Workspace, tests: &Tests) -> Result<Status, Stop> {
    let groups = Group::of(tests);
    // Everything is looked for first: no hour of tests should end in "QEMU is missing".
    let mut wants: Vec<Want> = Vec::new();
    for want in groups.iter().flat_map(Group::wants) {
        if !wants.contains(&want) {
            wants.push(want);
        }
    }
    let route = if wants.contains(&Want::Kernels) {
        Some(setup::ensure_route(workspace, &wants)?)
    } else {
        setup::ensure(workspace, &wants)?
    };
    let site = Site { workspace, route: route.as_ref(), length: tests.length, following: &[] };
    match tests.mode {
        TestMode::List => list(&groups, &site, &tests.filters),
        TestMode::Run => run_all(&groups, &site, &tests.filters),
    }
}

fn list(groups: &[Group], site: &Site<'_>, filters: &[String]) -> Result<Status, Stop> {
    let mut any = false;
    for group in groups {
        let names = group.list(site)?;
        let selection = if filters.is_empty() { Selection::All } else { Selection::new(names.clone(), filters) };
        for name in names.iter().filter(|name| selection.has(name)) {
            any = true;
            println!("{name}");
        }
    }
    if any { Ok(Status::Success) } else { Err(no_such(filters)) }
}

fn run_all(groups: &[Group], site: &Site<'_>, filters: &[String]) -> Result<Status, Stop> {
    let mut report = Report::new();
    if filters.is_empty() {
        run_whole(groups, site, &mut report)?;
        return Ok(report.finish());
    }
    // All names first: a filter that fits nothing is a mistake, and costs no test.
    let mut chosen = Vec::new();
    let mut is_listed = true;
    for group in groups {
        match group.list(site) {
            Ok(names) => chosen.push((group, Selection::new(names, filters))),
            Err(why) => {
                is_listed = false;
                report.add(&Verdict::failed(group.name(), why.message));
            }
        }
    }
    if is_listed && chosen.iter().all(|(_, selection)| selection.is_empty()) {
        return Err(no_such(filters));
    }
    for (group, selection) in chosen.iter().filter(|(_, selection)| !selection.is_empty()) {
        group.run(site, selection, &mut report)?;
    }
    Ok(report.finish())
}

/// Runs all of the groups. Lanes run beside each other as long as the first has no emulator, whose CPUs would come to share the
/// machine's with a compiler: what is compiled for one test often leaves a CPU idle. The verdicts of the others are printed
/// when the first has come so far, those of each together. What is idle even then builds kernels.
fn run_whole(groups: &[Group], site: &Site<'_>, report: &mut Report) -> Result<(), Stop> {
    let lane = |lane| groups.iter().copied().filter(|group| group.lane() == lane).collect::<Vec<Group>>();
    let (first, optimised, apart) = (lane(Lane::First), lane(Lane::Optimised), lane(Lane::Apart));
    let emulated = first.iter().position(|group| matches!(group, Group::Kernel(..))).unwrap_or(first.len());
    let run = |lane: &[Group], report: &mut Report| {
        lane.iter().try_for_each(|group| group.run(site, &Selection::All, report))
    };
    let run_kept = |lane: &[Group]| {
        let mut kept = Report::kept();
        let ran = run(lane, &mut kept);
        (kept, ran)
    };
    if emulated == 0 {
        run(&optimised, report)?;
        run(&apart, report)?;
        return run_emulated(&first, site, report);
    }
    let kernels: Vec<_> = first[emulated..].iter().filter_map(Group::kernel).collect();
    let is_over = AtomicBool::new(false);
    let ran = thread::scope(|scope| {
        let optimised = scope.spawn(|| run_kept(&optimised));
        let apart = scope.spawn(|| {
            let kept = run_kept(&apart);
            if let Some(route) = site.route {
                ahead::build(site.workspace, route, &kernels, &is_over);
            }
            kept
        });
        let mut ran = run(&first[..emulated], report);
        for lane in [optimised, apart] {
            let (kept, ran_beside) = lane.join().unwrap_or_else(|panic| resume_unwind(panic));
            is_over.store(true, Ordering::Relaxed);
            report.take_in(kept);
            ran = ran.and(ran_beside);
        }
        ran
    });
    ran.and_then(|()| run_emulated(&first[emulated..], site, report))
}

/// Runs groups with emulators. One that is a single CPU's work runs beside its like on another machine, where that follows.
fn run_emulated(groups: &[Group], site: &Site<'_>, report: &mut Report) -> Result<(), Stop> {
    let run = |place: usize, report: &mut Report| {
        let site = Site { following: &groups[place + 1..], ..*site };
        groups[place].run(&site, &Selection::All, report)
    };
    let mut ran_beside = Vec::new();
    for place in 0..groups.len() {
        let is_like = |other: &usize| groups[place].takes_one_cpu() && groups[place].is_like(&groups[*other]);
        match (place + 1..groups.len()).find(is_like) {
            _ if ran_beside.contains(&place) => {}
            None => run(place, report)?,
            Some(other) => thread::scope(|scope| {
                let beside = scope.spawn(|| {
                    let mut kept = Report::kept();
                    let ran = run(other, &mut kept);
                    (kept, ran)
                });
                let ran = run(place, report);
                let (kept, ran_other) = beside.join().unwrap_or_else(|panic| resume_unwind(panic));
                report.take_in(kept);
                ran_beside.push(other);
                ran.and(ran_other)
            })?,
        }
    }
    Ok(())
}

fn no_such(filters: &[String]) -> Stop {
    let filters = filters.iter().map(|filter| format!("`{filter}`")).collect::<Vec<_>>().join(" or ");
    Stop::failed(format!("no test here has {filters} in its name: `cargo xtask test --list` prints the names"))
}
