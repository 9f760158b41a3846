//! The kernel that lives on the library's heap: its global allocator stands on a private arena, and the claims about it
//! are tried on a machine whose CPUs, interrupts and page faults are real enough.
//!
//! After each claim the books must balance to the last byte and frame ([`bench`]). Interrupts, by a timer and by other
//! CPUs, and faults come in the midst of allocations, and their handlers allocate ([`guest`]).
//!
//! The kernel prints, for each claim, perhaps `figures NAME: …`, and `ok NAME` or `FAILED NAME: why`; then `exceptions
//! N` (the page faults or data aborts that it took), and last `N passed, N failed`. Words on the command line: `list`
//! prints `test NAME` for each claim and tries none; `long` does much more; a claim's name tries that one alone.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod bench;
mod block;
mod check;
mod checks;
mod fault;
mod guest;
mod memory;
mod platform;

use support::{
    ExitCode, Machine, exceptions_taken, milliseconds, println, set_fault_handler, set_interrupt_handler, ticks,
};

use bench::{Effort, Mark, Site};
use check::Checked;
use checks::Check;

/// Tries the claims, or lists them.
pub fn main(machine: &'static Machine) -> ExitCode {
    let words = || machine.command_line().split_whitespace();
    let has = |wanted: &str| words().any(|word| word == wanted);
    if has("list") {
        checks::all().for_each(|check| println!("test {}", check.name));
        return ExitCode::Passed;
    }
    set_fault_handler(fault::handle);
    let early = memory::begin(machine);
    set_interrupt_handler(guest::interrupted);
    let effort = if has("long") { Effort::Long } else { Effort::Fast };
    println!("{} CPUs, {}", machine.cpu_count(), support::ARCHITECTURE);

    let site = Site::new(machine, machine.cpu_count(), effort, early);
    let any_named = checks::all().any(|check| has(check.name));
    let (mut passed, mut failed) = (0, 0);
    for check in checks::all().filter(|check| !any_named || has(check.name)) {
        match run(&site, check) {
            Ok(()) => {
                passed += 1;
                println!("ok {}", check.name);
            }
            Err(failure) => {
                failed += 1;
                println!("FAILED {}: {failure}", check.name);
            }
        }
    }
    println!("exceptions {}", exceptions_taken());
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::Passed } else { ExitCode::Failed }
}

/// Tries a claim, prints its figures, and balances the books.
fn run(site: &Site, check: &Check) -> Checked {
    site.drain_all()?;
    let (before, start) = (Mark::now(), ticks());
    {
        let told = (check.body)(site)?;
        if !told.is_empty() {
            println!("figures {}: {told}; {} ms", check.name, milliseconds(ticks().wrapping_sub(start)));
        }
    }
    site.settle(before)
}
