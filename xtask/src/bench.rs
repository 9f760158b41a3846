//! `cargo xtask bench`: how fast the library is, beside others and beside the limits of the machine.
//!
//! Exact figures come from the kernel `counts` in QEMU, by way of the same code that compares them in the tests; everything that
//! is timed comes from the package `kernel-arena-benches`, which also draws the table and the page. Exact figures are handed to
//! it as lines of words, so that xtask needs no JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::arch::Arch;
use crate::child;
use crate::cli::{Bench as Request, Effort, Figures as Fate, Length, Topic};
use crate::kernels::{Bench, counts};
use crate::part::Selection;
use crate::record::{FILE, Record, percent};
use crate::route::Route;
use crate::setup::{self, Want};
use crate::status::{Status, Stop};
use crate::workspace::Workspace;

const PACKAGE: &str = "kernel-arena-benches";

/// Measures.
///
/// # Errors
///
/// Something needed is missing or does not build, or a kernel did not count.
pub(crate) fn run(workspace: &Workspace, request: &Request) -> Result<Status, Stop> {
    let kernel = request.topics.contains(&Topic::Kernel).then(|| kernel(workspace, request.figures)).transpose()?;
    if request.figures == Fate::Recorded {
        println!("{FILE} is written");
        return Ok(Status::Success);
    }
    let mut cargo = Command::new("cargo");
    child::forget_package(&mut cargo);
    cargo.current_dir(workspace.root()).args(["run", "--locked", "--quiet", "--release", "--package", PACKAGE]);
    cargo.arg("--target-dir").arg(workspace.target(""));
    if request.topics.contains(&Topic::Heap) {
        cargo.args(["--features", "peers-c"]);
    }
    cargo.arg("--").args(request.topics.iter().filter(|topic| **topic != Topic::Kernel).map(|topic| topic.name()));
    if let Some(rows) = &kernel {
        cargo.arg("--kernel").arg(rows);
    }
    if request.effort == Effort::Quick {
        cargo.arg("--quick");
    }
    let html = request.html.as_ref().map_or_else(|| workspace.target("bench").join("index.html"), |file| given(file));
    cargo.arg("--html").arg(html);
    if let Some(json) = &request.json {
        cargo.arg("--json").arg(given(json));
    }
    match cargo.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(Status::Success),
        Ok(_) => Err(Stop::failed(format!("`{PACKAGE}` did not build, or found something wrong"))),
        Err(error) => Err(Stop::not_ready(format!("cargo did not run: {error}"))),
    }
}

/// A file that was named where the command was given.
fn given(file: &str) -> PathBuf {
    std::env::current_dir().map_or_else(|_| PathBuf::from(file), |directory| directory.join(file))
}

/// Counts on all machines, and writes what came of it: into the record, or into a file whose path is returned.
fn kernel(workspace: &Workspace, fate: Fate) -> Result<PathBuf, Stop> {
    let wants: Vec<Want> = Arch::ALL.into_iter().map(Want::Qemu).chain([Want::Kernels]).collect();
    let route = setup::ensure_route(workspace, &wants)?;
    let compiler = route.compiler().map_err(Stop::not_ready)?;
    let mut record = Record::read(workspace).map_err(Stop::failed)?;
    let mut rows = format!("compiler\t{compiler}\n");
    for arch in Arch::ALL {
        let figures = counts::figures(&bench(workspace, &route, arch)).map_err(Stop::failed)?;
        println!("{}, {compiler}:", arch.name());
        for (name, figure) in &figures {
            let recorded = record.of(&compiler, arch).and_then(|recorded| recorded.get(name)).copied();
            let change = recorded.map_or_else(String::new, |recorded| format!("{:>9}", percent(recorded, *figure)));
            println!("  {name:<56} {figure:>9}{change}");
            let recorded = recorded.map_or_else(String::new, |recorded| recorded.to_string());
            rows += &format!("{}\t{name}\t{figure}\t{recorded}\n", arch.name());
        }
        record.set(&compiler, arch, figures);
    }
    let file = workspace.target("bench").join("kernel.tsv");
    match fate {
        Fate::Recorded => record.write(workspace).map_err(Stop::failed)?,
        Fate::Shown => write(&file, &rows).map_err(|error| Stop::failed(format!("{}: {error}", file.display())))?,
    }
    Ok(file)
}

fn bench<'a>(workspace: &'a Workspace, route: &'a Route, arch: Arch) -> Bench<'a> {
    Bench { workspace, route, arch, length: Length::Fast, selection: &Selection::All, following: &[] }
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(file, text)
}
