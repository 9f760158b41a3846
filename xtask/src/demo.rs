//! `cargo xtask demo`: boots the demo kernel, its console on this terminal, and shows its log afterwards.

use std::fs;
use std::io::IsTerminal;
use std::path::Path;

use crate::arch::Arch;
use crate::cli::DemoMode;
use crate::kernel::{DEMO, PLAIN};
use crate::log::{self, Viewer};
use crate::qemu::{Machine, Outcome};
use crate::setup::{self, Want};
use crate::status::{Status, Stop};
use crate::workspace::Workspace;

/// Boots the demo on these machines, one after the other, or prints how that is done.
///
/// # Errors
///
/// Something needed is missing, or the kernel does not build.
pub(crate) fn run(workspace: &Workspace, arches: &[Arch], mode: DemoMode) -> Result<Status, Stop> {
    if mode == DemoMode::PrintQemu {
        for &arch in arches {
            let kernel = DEMO.file(workspace, arch);
            let emulator = workspace.program(arch.qemu());
            println!("{}", machine(arch, &emulator, &kernel, &log::stream(&kernel)).shell_line());
        }
        return Ok(Status::Success);
    }
    let route = setup::ensure_route(workspace, &[Want::Qemu, Want::Kernels])?;
    let mut status = Status::Success;
    for &arch in arches {
        eprintln!("== {}: building and booting the demo", arch.name());
        let kernel = DEMO.build(workspace, &route, arch).map_err(Stop::not_ready)?;
        let viewer = Viewer::build(workspace);
        let stream = log::stream(&kernel);
        // An earlier run's log must not be taken for this one's.
        let _ = fs::remove_file(&stream);
        let emulator = workspace.program(arch.qemu());
        let machine = Machine { arguments: arguments(), ..machine(arch, &emulator, &kernel, &stream) };
        let run = machine.run(DEMO.limit(), &mut |line| println!("{line}"));
        for complaint in &run.complaints {
            eprintln!("[QEMU] {complaint}");
        }
        eprintln!("== {}: {} ({:.1} s in QEMU)", arch.name(), run.outcome.describe(), run.elapsed.as_secs_f64());
        let shown = show_log(arch, viewer, &kernel);
        if status == Status::Success {
            status = match run.outcome {
                Outcome::Passed => shown,
                Outcome::Failed => Status::Failed,
                Outcome::Qemu(_) => Status::Qemu,
                Outcome::Hung(_) => Status::Hung,
            };
        }
    }
    Ok(status)
}

/// Prints what the kernel logged, and how to see that while it runs.
fn show_log(arch: Arch, viewer: Result<Viewer<'_>, String>, kernel: &Path) -> Status {
    eprintln!("== {}: what it logged (defmt)", arch.name());
    let viewer = match viewer {
        Ok(viewer) => viewer,
        Err(why) => {
            eprintln!("{why}");
            return Status::NotReady;
        }
    };
    let status = match viewer.decode(kernel, &mut |line| println!("{line}")) {
        Ok(()) => Status::Success,
        Err(why) => {
            eprintln!("{why}");
            Status::Failed
        }
    };
    eprintln!("== {}: to see the log while the demo runs, have this run in another terminal:", arch.name());
    eprintln!("   {}", viewer.live_command(kernel));
    status
}

/// Asks for plain text where colours are not wanted, or not understood (<https://no-color.org>).
fn arguments() -> &'static [&'static str] {
    let wanted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted { &[] } else { PLAIN }
}

fn machine<'a>(arch: Arch, emulator: &'a Path, kernel: &'a Path, log: &'a Path) -> Machine<'a> {
    Machine { arch, emulator, kernel, cpus: DEMO.cpus, arguments: &[], log: Some(log), exception_log: None }
}
