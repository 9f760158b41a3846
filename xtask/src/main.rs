//! The project's commands: `cargo xtask demo`, `cargo xtask test`, and the `setup` and `lint` behind them.
//!
//! Everything that a person or CI runs goes through here, so that both run the same thing: kernels are built by whatever
//! route the machine offers (see [`route`]), booted in QEMU under a time limit (see [`qemu`]), and their consoles read
//! like any other test's output. Plain std, no dependencies: this must build in seconds on a bare machine, before
//! anything else of the project does.
//!
//! What every part finds ends as [`verdict::Verdict`]s; [`verdict::Report`] prints and counts them.

mod arch;
mod child;
mod claims;
mod cli;
mod console;
mod demo;
mod hashbrown;
mod heap;
mod host;
mod intlog;
mod kernel;
mod libtest;
mod lint;
mod log;
mod models;
mod qemu;
mod races;
mod route;
mod sampled;
mod setup;
mod status;
mod steps;
mod suites;
mod test;
mod verdict;
mod workspace;

use std::process::ExitCode;

use cli::Task;
use status::Stop;
use workspace::Workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let status = match run(&arguments) {
        Ok(status) => status,
        Err(Stop { status, message }) => {
            eprintln!("xtask: {message}");
            status
        }
    };
    ExitCode::from(status.code())
}

/// Parses the command line and does what it asks.
fn run(arguments: &[String]) -> Result<status::Status, Stop> {
    let task = cli::parse(arguments)?;
    let workspace = Workspace::find()?;
    match task {
        Task::Help => {
            print!("{}", cli::HELP);
            Ok(status::Status::Success)
        }
        Task::Demo { arches, mode } => demo::run(&workspace, &arches, mode),
        Task::Test { part, mode, length } => test::run(&workspace, part, mode, length),
        Task::Setup => setup::command(&workspace),
        Task::Lint => lint::run(&workspace),
    }
}
