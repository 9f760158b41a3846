//! The test kernel that interrupts: each operation of the arena is single-stepped by the processor's own debug
//! exception, and before every instruction somebody else comes and uses the same arena.
//!
//! First with a wild access, which is a real page fault (x86_64) or data abort (aarch64) inside the debug exception;
//! then with a call of every operation that is documented for any context; then with those that may wait, as well; last
//! with an access to the very page that the operation is changing. The operations of a heap on an arena are
//! interrupted, too, by somebody who uses that heap ([`heap`]), and those of a slab by somebody at the same magazines
//! ([`preempted`]). Afterwards the operation's answer must be right, slots
//! and maps must agree, frames and pages add up, and everything must come back.
//!
//! It wants one CPU. On aarch64 it must be built with `-C target-feature=+lse`: an exclusive load and store never succeed when
//! each instruction is stepped, and where there is one it says so and stops. The core library has its atomics compiled here.
//!
//! The kernel prints `ok NAME` or `FAILED NAME: why` for each test, `points NAME: N` for the instructions at which an
//! operation was interrupted, `exceptions N` for its page faults or data aborts, and last `N passed, N failed`. With
//! `list` on the command line it prints `test NAME` for each test and runs none; with `sample` it runs a few that take
//! few steps, so that the emulator's log of exceptions stays small; with `heap` those of the heap alone; with a test's name
//! that one alone.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod bench;
mod check;
mod fault;
mod heap;
mod interrupt;
mod intruder;
mod operations;
mod passes;
mod preempted;
mod run;
mod selfcheck;
mod site;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use support::{ExitCode, Machine, exceptions_taken, println, set_fault_handler};

use bench::Bench;
use check::Checked;
use passes::PASSES;
use selfcheck::CHECKS;

support::heap!();

/// A test: an operation under a pass, or a check of the checks.
struct Test {
    name: String,
    body: Box<dyn Fn(&Bench) -> Checked>,
}

/// Runs the tests, or lists them.
pub fn main(machine: &'static Machine) -> ExitCode {
    let has = |wanted: &str| machine.command_line().split_whitespace().any(|word| word == wanted);
    if has("list") {
        tests().iter().for_each(|test| println!("test {}", test.name));
        return ExitCode::Passed;
    }
    if machine.cpu_count() != 1 {
        println!("this kernel steps one CPU, and wants to be given one: the others would be waited for");
        return ExitCode::Failed;
    }
    set_fault_handler(fault::handle);
    let bench = Bench::new(machine);
    let (mut passed, mut failed) = (0, 0);
    let tests = tests();
    let any_named = tests.iter().any(|test| has(&test.name));
    let is_wanted = |name: &str| match () {
        () if any_named => has(name),
        () if has("sample") => in_sample(name),
        () => name.starts_with("heap_") || !has("heap"),
    };
    for test in tests.iter().filter(|test| is_wanted(&test.name)) {
        match (test.body)(&bench) {
            Ok(()) => {
                passed += 1;
                println!("ok {}", test.name);
            }
            Err(failure) => {
                failed += 1;
                println!("FAILED {}: {failure}", test.name);
            }
        }
    }
    println!("exceptions {}", exceptions_taken());
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::Passed } else { ExitCode::Failed }
}

/// All tests, in the order in which they run: what others rest on comes first.
fn tests() -> Vec<Test> {
    let checks = CHECKS.iter().map(|check| Test { name: check.name.into(), body: Box::new(check.body) });
    let passes = PASSES.iter().flat_map(|pass| {
        operations::all().map(|operation| Test {
            name: format!("{}::{}", operation.name, pass.name),
            body: Box::new(|bench| (pass.body)(bench, operation)),
        })
    });
    let guests = heap::OPERATIONS.iter().map(|operation| Test {
        name: format!("{}::guests_at_its_instructions", operation.name),
        body: Box::new(|bench| heap::guests(bench, operation)),
    });
    let hot = heap::OPERATIONS.iter().filter(|operation| operation.is_hot()).map(|operation| Test {
        name: format!("{}::guests_at_each_instruction_of_one_run", operation.name),
        body: Box::new(|bench| heap::guests_at_each(bench, operation)),
    });
    let preempted = preempted::CHECKS.iter().map(|check| Test { name: check.name.into(), body: Box::new(check.body) });
    checks.chain(passes).chain(guests).chain(hot).chain(preempted).collect()
}

fn in_sample(name: &str) -> bool {
    name.starts_with("handle_kernel_fault_on_a_") && name.ends_with(PASSES[0].name)
}
