//! Programs in user mode that share an arena with the kernel: good ones and bad ones.
//!
//! The program is an ELF file of its own (`examples/guests`), read here with the `object` crate and loaded into an address space of
//! its own for each process (`process`); SMAP and SMEP, or PAN, are on. Each check gets a fresh arena ([`bench`]); when it is
//! over, the arena validates and every frame is back.
//!
//! The kernel prints, for each check, `ok NAME` or `FAILED NAME: why`, and `figures NAME: …` where there are some; then `exceptions
//! N` (the page faults or data aborts that it took, those of programs included), and last `N passed, N failed`. Words on the command
//! line: `list` prints `test NAME` for each check and runs none; `long` does much more; a check's name runs that one alone.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod bench;
mod checks;
mod fault;
mod history;
mod memory;

use support::{ExitCode, Machine, exceptions_taken, println, set_fault_handler};

use bench::{Bench, Effort};

support::heap!();

/// Runs the checks, or lists them.
pub fn main(machine: &'static Machine) -> ExitCode {
    let words = || machine.command_line().split_whitespace();
    if words().any(|word| word == "list") {
        checks::all().for_each(|check| println!("test {}", check.name));
        return ExitCode::Passed;
    }
    set_fault_handler(fault::handle);
    let effort = if words().any(|word| word == "long") { Effort::Long } else { Effort::Fast };
    let named = |name: &str| words().any(|word| word == name);
    let any_named = checks::all().any(|check| named(check.name));
    println!("{} CPUs, {}", machine.cpu_count(), support::ARCHITECTURE);

    let bench = Bench::new(machine, effort);
    let (mut passed, mut failed) = (0, 0);
    for check in checks::all().filter(|check| !any_named || named(check.name)) {
        match bench.run(check) {
            Ok(figures) => {
                passed += 1;
                println!("ok {}", check.name);
                if !figures.is_empty() {
                    println!("figures {}: {figures}", check.name);
                }
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
