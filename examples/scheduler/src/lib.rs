//! A kernel whose tasks are scheduled by bytecode that it loads: by good schedulers, and by bad ones, each of which is recorded with
//! what it did, thrown out, and replaced, while all tasks come to their ends.
//!
//! The schedulers, the tasks and the CPUs' work are `examples/schedule`; each check here loads some and looks at what became of
//! them. When it is over, every slice that was asked for is done, once, where it may be, and every frame is back.
//!
//! The kernel prints, for each check, `ok NAME` or `FAILED NAME: why`, and `figures NAME: …` where there are some; then `exceptions
//! N` (the page faults or data aborts that it took), and last `N passed, N failed`. Words on the command line: `list` prints
//! `test NAME` for each check and runs none; `long` gives more work; a check's name runs that one alone.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod checks;
mod fault;
mod site;

use support::{ExitCode, Machine, exceptions_taken, println, set_fault_handler};

use site::Site;

support::heap!();

/// Runs the checks, or lists them.
pub fn main(machine: &'static Machine) -> ExitCode {
    let words = || machine.command_line().split_whitespace();
    if words().any(|word| word == "list") {
        checks::all().for_each(|check| println!("test {}", check.name));
        return ExitCode::Passed;
    }
    set_fault_handler(fault::handle);
    let named = |name: &str| words().any(|word| word == name);
    let any_named = checks::all().any(|check| named(check.name));
    println!("{} CPUs, {}", machine.cpu_count(), support::ARCHITECTURE);

    let site = Site { machine, factor: if words().any(|word| word == "long") { 20 } else { 1 } };
    let (mut passed, mut failed) = (0, 0);
    for check in checks::all().filter(|check| !any_named || named(check.name)) {
        match site.run(check) {
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
