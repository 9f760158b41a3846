//! `cargo xtask demo`: boots the demo kernel, its console on this terminal.

use std::io::IsTerminal;

use crate::arch::Arch;
use crate::cli::DemoMode;
use crate::kernel::{DEMO, PLAIN};
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
            println!("{}", machine(arch, &workspace.kernel(arch, DEMO.name)).shell_line());
        }
        return Ok(Status::Success);
    }
    let route = setup::ensure_route(&[Want::Qemu, Want::Kernels])?;
    let mut status = Status::Success;
    for &arch in arches {
        eprintln!("== {}: building and booting the demo", arch.name());
        let kernel = DEMO.build(workspace, &route, arch).map_err(Stop::not_ready)?;
        let machine = Machine { arguments: arguments(), ..machine(arch, &kernel) };
        let run = machine.run(DEMO.limit(), &mut |line| println!("{line}"));
        for complaint in &run.complaints {
            eprintln!("[QEMU] {complaint}");
        }
        eprintln!("== {}: {} ({:.1} s in QEMU)", arch.name(), run.outcome.describe(), run.elapsed.as_secs_f64());
        if status == Status::Success {
            status = match run.outcome {
                Outcome::Passed => Status::Success,
                Outcome::Failed => Status::Failed,
                Outcome::Qemu(_) => Status::Qemu,
                Outcome::Hung(_) => Status::Hung,
            };
        }
    }
    Ok(status)
}

/// Asks for plain text where colours are not wanted, or not understood (<https://no-color.org>).
fn arguments() -> &'static [&'static str] {
    let wanted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted { &[] } else { PLAIN }
}

fn machine(arch: Arch, kernel: &std::path::Path) -> Machine<'_> {
    Machine { arch, kernel, arguments: &[], exception_log: None }
}
