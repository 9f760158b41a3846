//! The kernel that counts: how many instructions each operation of the library takes, exactly, on one CPU.
//!
//! It wants QEMU's `-icount shift=0`, under which every instruction takes a nanosecond of the machine's time: the counters of
//! cycles count instructions then, the same ones each time ([`support::instructions`]). Without it, it says so and fails.
//!
//! Each case ([`cases`]) has a fresh arena of 4 GiB, checks what the operation did, and tells the median of a few runs once
//! everything is warm. What the kernel itself does in between is as little as can be: its CPU is named by a constant, its
//! shootdown is of one CPU, its frames come from a stack ([`site`]). A fault is compared with one that a handler repairs which
//! knows everything beforehand ([`fault`]).
//!
//! It prints `counted NAME N` and `ok NAME`, or `FAILED NAME: why`, for each case, and last `N passed, N failed`. Words on the
//! command line: `list` prints `test NAME` for each case and runs none; a case's name runs that one alone. What is compared
//! with what was counted before is `cargo xtask`'s business, as is the size of the code ([`weights`]).

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod cases;
mod fault;
mod site;
mod steady;
pub mod weights;

use support::{ExitCode, Machine, println};

use site::Ground;

support::heap!();

/// Runs all cases, or lists them.
pub fn main(machine: &'static Machine) -> ExitCode {
    let has = |wanted: &str| machine.command_line().split_whitespace().any(|word| word == wanted);
    if has("list") {
        cases::all().for_each(|case| println!("test {}", case.name));
        return ExitCode::Passed;
    }
    if let Err(why) = steady::check_counter() {
        println!("FAILED counter: {why}");
        println!("0 passed, 1 failed");
        return ExitCode::Failed;
    }
    let ground = Ground::new(machine);
    let (mut passed, mut failed) = (0, 0);
    let any_named = cases::all().any(|case| has(case.name));
    for case in cases::all().filter(|case| !any_named || has(case.name)) {
        match ground.run(case) {
            Ok(count) => {
                passed += 1;
                println!("counted {} {count}", case.name);
                println!("ok {}", case.name);
            }
            Err(failure) => {
                failed += 1;
                println!("FAILED {}: {failure}", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::Passed } else { ExitCode::Failed }
}
