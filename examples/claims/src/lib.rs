//! The test kernel: what the library claims, tried on a machine whose MMU is not the library's own.
//!
//! Each claim gets a fresh arena, says what it found, and leaves nothing behind ([`bench`]). Every violation comes from a
//! fault of the CPU: the handler is never called by a test. The kernel prints `ok NAME` or `FAILED NAME: why` for each
//! claim, `exceptions N` for the page faults (x86_64) or data aborts (aarch64) that it took, and last
//! `N passed, N failed`. Words on the command line: `list` prints `test NAME` for each claim and tries none; a claim's name
//! tries that one alone.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod bench;
mod check;
mod claims;
mod fault;
mod site;

use support::{ExitCode, Machine, exceptions_taken, println, set_fault_handler};

use bench::Bench;

support::heap!();

/// Tries all claims, or lists them.
pub fn main(machine: &'static Machine) -> ExitCode {
    let has = |wanted: &str| machine.command_line().split_whitespace().any(|word| word == wanted);
    if has("list") {
        claims::all().for_each(|claim| println!("test {}", claim.name));
        return ExitCode::Passed;
    }
    set_fault_handler(fault::handle);
    let bench = Bench::new(machine);
    let (mut passed, mut failed) = (0, 0);
    let any_named = claims::all().any(|claim| has(claim.name));
    for claim in claims::all().filter(|claim| !any_named || has(claim.name)) {
        match bench.run(claim) {
            Ok(()) => {
                passed += 1;
                println!("ok {}", claim.name);
            }
            Err(failure) => {
                failed += 1;
                println!("FAILED {}: {failure}", claim.name);
            }
        }
    }
    println!("exceptions {}", exceptions_taken());
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::Passed } else { ExitCode::Failed }
}
