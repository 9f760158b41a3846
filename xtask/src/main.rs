//! The project's commands: `cargo xtask demo`, `cargo xtask test`, and the `setup` and `lint` behind them.
//!
//! Everything that a person or CI runs goes through here, so that both run the same thing: kernels are built by whatever
//! route the machine offers (see [`route`]), booted in QEMU under a time limit (see [`qemu`]), and their consoles read
//! like any other test's output. Plain std, no dependencies: this must build in seconds on a bare machine, before
//! anything else of the project does.
//!
//! What every part finds ends as [`verdict::Verdict`]s; [`verdict::Report`] prints and counts them.

mod adopt;
mod arch;
mod bench;
mod child;
mod cli;
mod demo;
mod groups;
mod hashbrown;
mod host;
mod kernels;
mod library;
mod libtest;
mod lint;
mod log;
mod models;
mod mutants;
mod objects;
mod parity;
mod part;
mod pulse;
mod qemu;
mod record;
mod route;
mod setup;
mod status;
mod suites;
mod summary;
mod term;
mod test;
mod turn;
mod verdict;
mod workspace;

use std::process::ExitCode;

use cli::Task;
use status::Stop;
use turn::Turn;
use workspace::Workspace;

fn main() -> ExitCode {
    term::end_with_the_pipe();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let status = match run(&arguments) {
        Ok(status) => status,
        Err(Stop { status, message }) => {
            tell(&message);
            status
        }
    };
    ExitCode::from(status.code())
}

/// Prints why a command cannot go on. What is indented is a command or somebody else's words, and left as it is.
fn tell(message: &str) {
    for line in format!("xtask: {message}").lines() {
        if line.starts_with(' ') || term::columns(line) <= term::COLUMNS {
            eprintln!("{line}");
        } else {
            term::wrapped(line, 0, 2).iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Parses the command line and does what it asks.
fn run(arguments: &[String]) -> Result<status::Status, Stop> {
    let task = cli::parse(arguments)?;
    let workspace = Workspace::find()?;
    let take_turn = || Turn::take(&workspace.target(""), &format!("cargo xtask {}", arguments.join(" ")));
    match task {
        Task::Help => {
            print!("{}", cli::HELP);
            Ok(status::Status::Success)
        }
        Task::Demo { arches, mode } => {
            let _turn = take_turn();
            demo::run(&workspace, &arches, mode)
        }
        Task::Test(tests) => {
            let _turn = take_turn();
            test::run(&workspace, &tests)
        }
        Task::Bench(request) => {
            let _turn = take_turn();
            bench::run(&workspace, &request)
        }
        Task::Setup => setup::command(&workspace),
        Task::Lint => lint::run(&workspace),
        Task::Objects => objects::run(&workspace),
        Task::Mutants(asked) => {
            let _turn = take_turn();
            mutants::run(&workspace, &asked)
        }
        Task::Parity { record } => parity::run(&workspace, record.as_deref()),
    }
}
