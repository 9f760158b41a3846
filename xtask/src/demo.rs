//! `cargo xtask demo`: boots the demo kernel, its console on this terminal, and ends with what became of it.

use std::fs;
use std::path::Path;

use crate::arch::Arch;
use crate::cli::DemoMode;
use crate::kernels::tour::statements;
use crate::kernels::{DEMO, PLAIN, at_once};
use crate::log::{self, Viewer};
use crate::pulse::Pulse;
use crate::qemu::{Heard, Machine, Outcome};
use crate::route::Route;
use crate::setup::{self, Want};
use crate::status::{Status, Stop};
use crate::summary::{Summary, Tour};
use crate::term::{self, Colours};
use crate::workspace::Workspace;

/// Boots the demo on these machines, one after the other, each as soon as it is built; or prints how that is done.
///
/// # Errors
///
/// Something needed is missing; if nothing is to be booted also: the kernel does not build.
pub(crate) fn run(workspace: &Workspace, arches: &[Arch], mode: DemoMode) -> Result<Status, Stop> {
    let wants: Vec<Want> = arches.iter().copied().map(Want::Qemu).chain([Want::Kernels]).collect();
    let route = setup::ensure_route(workspace, &wants)?;
    if mode == DemoMode::PrintQemu {
        for &arch in arches {
            let kernel = build(workspace, &route, arch).map_err(Stop::not_ready)?;
            machine(workspace, arch, &kernel, &log::stream(&kernel), |machine| println!("{}", machine.shell_line()));
        }
        return Ok(Status::Success);
    }
    let mut summary = Summary::default();
    term::title(&format!(
        "building the demo for {}",
        arches.iter().map(|arch| arch.name()).collect::<Vec<_>>().join(" and ")
    ));
    at_once::build(DEMO, workspace, &route, arches, &mut |arch, kernel| {
        summary.add(match kernel {
            Ok(kernel) => boot(workspace, arch, &kernel),
            Err(why) => Tour::ended(arch, Status::NotReady, why),
        });
    });
    if mode == DemoMode::BootAndLog {
        show_logs(workspace, &mut summary);
    }
    Ok(summary.print(workspace))
}

fn build(workspace: &Workspace, route: &Route, arch: Arch) -> Result<std::path::PathBuf, String> {
    term::title(&format!("{}: building the demo", arch.name()));
    DEMO.build(workspace, route, arch, &[])
}

/// Boots the demo with its console on this terminal.
fn boot(workspace: &Workspace, arch: Arch, kernel: &Path) -> Tour {
    term::title(&format!("{}: the demo, in QEMU", arch.name()));
    let stream = log::stream(kernel);
    // An earlier run's log must not be taken for this one's.
    let _ = fs::remove_file(&stream);
    let name = format!("{}::{}", arch.name(), DEMO.name);
    let run = machine(workspace, arch, kernel, &stream, |machine| {
        machine.run(&mut Pulse::new(&name, Some(DEMO.limit())), &mut |line| {
            println!("{line}");
            Heard::Shown
        })
    });
    for complaint in &run.complaints {
        eprintln!("[QEMU] {complaint}");
    }
    let result = match (&run.outcome, statements(&run.console)) {
        (Outcome::Passed, Ok(statements)) => Ok(statements),
        (Outcome::Passed, Err(why)) => Err((Status::Failed, why)),
        (Outcome::Failed, _) => Err((Status::Failed, run.outcome.describe())),
        (Outcome::Qemu(_), _) => Err((Status::Qemu, run.outcome.describe())),
        (Outcome::Hung(_), _) => Err((Status::Hung, run.outcome.describe())),
    };
    // What did not run, or not to anybody's knowledge, has logged nothing.
    let has_log = !matches!(run.outcome, Outcome::Qemu(_)) && stream.metadata().is_ok_and(|file| file.len() > 0);
    Tour { arch, result, elapsed: Some(run.elapsed), log: has_log.then(|| (kernel.to_owned(), stream)) }
}

/// Prints what the kernels logged, and how to see that while one runs.
fn show_logs(workspace: &Workspace, summary: &mut Summary) {
    if !summary.tours.iter().any(|tour| tour.log.is_some()) {
        return;
    }
    term::title("building what decodes the log");
    let viewer = match Viewer::build(workspace) {
        Ok(viewer) => viewer,
        Err(why) => return summary.complain(Status::NotReady, why),
    };
    let mut complaints = Vec::new();
    for (arch, kernel, file) in
        summary.tours.iter_mut().filter_map(|tour| tour.log.as_mut().map(|log| (tour.arch, &log.0, &mut log.1)))
    {
        term::title(&format!("{}: what it logged (defmt)", arch.name()));
        let mut text = String::new();
        let decoded = viewer.decode(kernel, &mut |line| {
            term::wrapped(line, 0, 6).iter().for_each(|line| println!("{line}"));
            text += &format!("{line}\n");
        });
        term::note("the next run's log, while it runs, in another terminal:");
        eprintln!("{}", viewer.live_command(kernel));
        let whole = kernel.with_extension("log");
        let written =
            decoded.and_then(|()| fs::write(&whole, text).map_err(|why| format!("{}: {why}", whole.display())));
        match written {
            Ok(()) => *file = whole,
            Err(why) => complaints.push(format!("{}: {why}", arch.name())),
        }
    }
    complaints.into_iter().for_each(|why| summary.complain(Status::Failed, why));
}

/// Calls `then` with the machine as it boots the demo: in plain text where colours are not wanted.
fn machine<T>(workspace: &Workspace, arch: Arch, kernel: &Path, log: &Path, then: impl FnOnce(&Machine<'_>) -> T) -> T {
    let emulator = workspace.program(arch.qemu());
    let arguments = if Colours::of_output() == Colours::On { &[] } else { PLAIN };
    let log = Some(log);
    let program = DEMO.program(kernel);
    let program = program.as_deref();
    let (cpus, clock) = (DEMO.cpus, DEMO.clock);
    then(&Machine { arch, emulator: &emulator, kernel, program, cpus, clock, arguments, log, exception_log: None })
}
