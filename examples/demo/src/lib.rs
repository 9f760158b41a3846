//! A tour of kernel-arena, as a kernel of its own.
//!
//! It creates an arena, uses it well and badly, puts a heap on another, has its work scheduled by programs, and prints what happens. Each statement that it
//! prints it has checked on the spot; one that does not hold makes the whole kernel fail. The steps are the files of
//! `tour/`, in the order of [`tour::visit`].
//!
//! With `plain` on the command line it prints without colours. Beside what it prints it logs, by defmt, and so does the
//! library in it: the arena's creation, its end, and each violation when it is drained.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod chart;
mod fault;
mod map;
mod memory;
mod report;
mod text;
mod timeline;
mod tour;

use kernel_arena::Arena;
use support::{ARCHITECTURE, ExitCode, KernelPlatform, Machine, println, set_fault_handler};

use report::{Colours, Report, Stop};

/// The arena of this kernel.
type KernelArena = Arena<KernelPlatform>;

support::heap!();

/// Shows the visitor around.
pub fn main(machine: &'static Machine) -> ExitCode {
    set_fault_handler(fault::handle);
    let plain = machine.command_line().split_whitespace().any(|word| word == "plain");
    let colours = if plain { Colours::Off } else { Colours::On };
    let report = Report::new(colours);
    report.title();
    defmt::info!("the tour begins on {=str}, {} CPUs", ARCHITECTURE, machine.cpu_count());
    machine.run_on_all(|cpu| defmt::info!("CPU {} is up", cpu.number()));
    match guide(&report, machine) {
        Ok(()) => report.verdict(),
        Err(Stop(why)) => {
            println!("\nThe tour ended early: {why}");
            ExitCode::Failed
        }
    }
}

/// From an arena's creation to its end, a heap on another, and schedulers, each on one of its own.
fn guide(report: &Report, machine: &'static Machine) -> Result<(), Stop> {
    let frames = machine.frames().free_count();
    let arena = tour::create::create(report, machine)?;
    // SAFETY: the arena stays where it is until `remove` below; where an error comes before that, it is never dropped,
    // for then the machine ends.
    let registration = unsafe { fault::REGISTRY.register(&arena) }?;
    let visited = tour::visit(report, machine, &arena);
    fault::REGISTRY.remove(registration)?;
    visited?;
    tour::destroy::destroy(report, machine, arena, frames)?;
    tour::heap::show(report, machine)?;
    tour::schedule::show(report, machine)
}
