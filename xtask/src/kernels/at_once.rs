//! Builds a kernel for several machines at once, and hands over each as soon as it and those before it are there.
//!
//! Most of a first build is the core library, once for each machine, by one thread for the larger part. So one cargo builds
//! for all; and since somebody is waiting for the first, what is compiled for the others is given only the time that is
//! left, by a wrapper around rustc that makes it nice. While a kernel that was handed over is busy, cargo goes on, and
//! what it has to say waits.

use std::env;
use std::fs;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use super::kernel::Kernel;
use crate::arch::Arch;
use crate::child::{self, End, Event, Streams};
use crate::pulse::Pulse;
use crate::route::Route;
use crate::term::Colours;
use crate::workspace::Workspace;

/// What cargo says of a file that it has made begins with this, one line each.
const ARTIFACT: &str = "{\"reason\":\"compiler-artifact\"";
/// Wrappers around rustc that a user may have, which are then left where they are.
const WRAPPERS: [&str; 2] = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"];

/// Builds a kernel of the usual flavour for these machines, with cargo's progress on stderr, and calls `each` for every one
/// in their order: with the kernel, or with one line about why there is none.
pub(crate) fn build(
    kernel: Kernel,
    workspace: &Workspace,
    route: &Route,
    arches: &[Arch],
    each: &mut dyn FnMut(Arch, Result<PathBuf, String>),
) {
    if let [arch] = *arches {
        return each(arch, kernel.build(workspace, route, arch, &[]));
    }
    let mut cargo = route.for_all(workspace, "build", arches);
    cargo.args(kernel.packages()).args(["--keep-going", "--message-format=json-render-diagnostics", "--color"]);
    cargo.arg(if Colours::of_error() == Colours::On { "always" } else { "never" });
    prefer_first(&mut cargo, workspace, arches);

    // What is there of each machine's, a file at a time.
    let mut made: Vec<(Arch, &str)> = Vec::new();
    let mut waiting = arches;
    let mut pulse = Pulse::new("building", None);
    let mut elapsed = std::time::Duration::ZERO;
    let end = child::watch(cargo, Streams::Apart, None, &mut |event| match event {
        Event::Out(line) => {
            made.extend(
                arches
                    .iter()
                    .flat_map(|arch| kernel.files().map(|file| (*arch, file)))
                    .filter(|(arch, file)| is_artifact(line, file, *arch)),
            );
            while let [arch, rest @ ..] = waiting
                && kernel.files().all(|file| made.contains(&(*arch, file)))
            {
                waiting = rest;
                each(*arch, kernel.built(workspace, *arch));
            }
        }
        Event::Err(line) => {
            eprintln!("{line}");
            pulse.shown(elapsed);
        }
        Event::Beat(now) => {
            elapsed = now;
            pulse.beat(now);
        }
    });
    let ended = match end {
        Ok(End::Exited(status)) if status.success() => Ok(true),
        Ok(_) => Ok(false),
        Err(error) => Err(format!("cargo did not run: {error}")),
    };
    for &arch in waiting {
        each(
            arch,
            ended.clone().and_then(|all| {
                if all || kernel.files().all(|file| made.contains(&(arch, file))) {
                    kernel.built(workspace, arch)
                } else {
                    Err(kernel.failure(arch))
                }
            }),
        );
    }
}

/// Whether a line of cargo's says that this file is there.
fn is_artifact(line: &str, file: &str, arch: Arch) -> bool {
    line.starts_with(ARTIFACT) && line.contains(&format!("/{}/release/{file}\"", arch.target()))
}

/// Has cargo compile for the first machine as if there were no others, and for those beside it.
fn prefer_first(cargo: &mut Command, workspace: &Workspace, arches: &[Arch]) {
    if WRAPPERS.into_iter().any(|name| env::var_os(name).is_some()) {
        return;
    }
    // Without the wrapper it is built all the same: the first only comes later.
    if let Ok(wrapper) = write_wrapper(workspace, arches.get(1..).unwrap_or_default()) {
        // What is nice holds a job each, which must not be one of those that the first needs.
        let jobs = thread::available_parallelism().map_or(1, NonZero::get) * arches.len();
        cargo.env(WRAPPERS[0], wrapper).args(["--jobs", &jobs.to_string()]);
    }
}

#[cfg(unix)]
fn write_wrapper(workspace: &Workspace, nice: &[Arch]) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;

    let path = workspace.kernels().join("rustc-wrapper");
    fs::create_dir_all(workspace.kernels())?;
    fs::write(&path, wrapper(nice))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

#[cfg(not(unix))]
fn write_wrapper(_: &Workspace, _: &[Arch]) -> io::Result<PathBuf> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A script that runs the command that it is given, nicely if that compiles for one of these machines.
fn wrapper(nice: &[Arch]) -> String {
    let patterns: Vec<String> = nice.iter().map(|arch| format!("*\" --target {} \"*", arch.target())).collect();
    format!("#!/bin/sh\ncase \" $* \" in {}) exec nice -n 19 \"$@\" ;; esac\nexec \"$@\"\n", patterns.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::super::kernel::DEMO;
    use super::*;

    #[test]
    fn a_kernel_is_there_when_cargo_says_so() {
        let line =
            "{\"reason\":\"compiler-artifact\",\"executable\":\"/t/x86_64-unknown-none/release/demo\",\"fresh\":true}";
        assert!(is_artifact(line, DEMO.name, Arch::X86_64));
        assert!(!is_artifact(line, DEMO.name, Arch::Aarch64));
        assert!(!is_artifact(&line.replace("/demo", "/demo-0123"), DEMO.name, Arch::X86_64));
        assert!(!is_artifact("{\"reason\":\"build-finished\",\"success\":true}", DEMO.name, Arch::X86_64));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_wrapper_is_nice_to_the_first_machine() {
        let said = |command: &mut Command| {
            String::from_utf8(command.output().expect("it runs").stdout).expect("text").trim().to_owned()
        };
        let niceness = |target: &str| {
            // As cargo does: the wrapper, the compiler, its arguments; the compiler here is `nice`, which says how nice it is.
            let arguments =
                ["-c", &wrapper(&[Arch::Aarch64]), "sh", "sh", "-c", "nice", "sh", "--target", target, "-v"];
            said(Command::new("sh").args(arguments))
        };
        assert_eq!(niceness(Arch::Aarch64.target()), "19");
        assert_eq!(niceness(Arch::X86_64.target()), said(&mut Command::new("nice")));
    }
}
