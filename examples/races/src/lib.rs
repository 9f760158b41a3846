//! The races: what the arena claims of many CPUs at once, tried on CPUs that do run at once.
//!
//! Each race gets a fresh arena ([`bench`]) and plays rounds in it ([`play`]): all CPUs meet, then go for the same thing. Rounds
//! go on until there have been enough of them and, where a race is about losing, until somebody has lost. Afterwards the books
//! must balance to the last fault and the last frame. Every fault is the CPU's own: the handler is never called by a race.
//!
//! The kernel prints, for each race, `figures NAME: …`, then `ok NAME` or `FAILED NAME: why`; then `operations N`, `exceptions N`
//! (the page faults or data aborts that it took), and last `N passed, N failed`. Words on the command line: `list` prints
//! `test NAME` for each race and runs none; `long` plays many more rounds; a race's name plays that one alone.
//! `seed=N` is another seed, from 0, of what each CPU leaves to chance; `soak=MINUTES` plays heavy weather alone, round after round,
//! each with the seed after that of the last, and prints `round N, seed N: …` for each.

#![no_std]
#![cfg(target_os = "none")]

extern crate alloc;

mod bench;
mod check;
mod fault;
mod platform;
mod play;
mod races;
mod site;
mod soak;
mod tally;
mod user_pages;

use support::{ExitCode, Machine, exceptions_taken, println, set_fault_handler};

use bench::Bench;
use check::Checked;
use play::Effort;
use tally::Tally;

support::heap!(HEAP);

/// The verdict about the races themselves.
const MEETING: &str = "the_cpus_have_met";

/// Plays the races, or lists them.
pub fn main(machine: &'static Machine) -> ExitCode {
    let words = || machine.command_line().split_whitespace();
    if words().any(|word| word == "list") {
        races::all().for_each(|race| println!("test {}", race.name));
        println!("test {MEETING}");
        return ExitCode::Passed;
    }
    set_fault_handler(fault::handle);
    let effort =
        if words().any(|word| word == "long" || word.starts_with("soak=")) { Effort::Long } else { Effort::Fast };
    let named = |name: &str| words().any(|word| word == name);
    let number = |name: &str| words().find_map(|word| word.strip_prefix(name)?.parse::<u32>().ok());
    let (soak, seed) = (number("soak="), number("seed=").unwrap_or(0));
    let any_named = races::all().any(|race| named(race.name));
    println!("{} CPUs, {}", machine.cpu_count(), support::ARCHITECTURE);

    let bench = Bench::new(machine, effort);
    let (mut passed, mut failed) = (0, 0);
    let mut tell = |name: &str, outcome: Checked| match outcome {
        Ok(()) => {
            passed += 1;
            println!("ok {name}");
        }
        Err(failure) => {
            failed += 1;
            println!("FAILED {name}: {failure}");
        }
    };
    if let Some(minutes) = soak {
        tell(races::of_soak().name, soak::play(&bench, minutes, seed));
    }
    for race in races::all().filter(|race| soak.is_none() && (!any_named || named(race.name))) {
        tell(race.name, bench.run(race, seed, |figures| println!("figures {}: {figures}", race.name)));
    }
    if soak.is_none() && !any_named {
        match (bench.have_cpus_met(), effort) {
            // A busy host may run one CPU at a time for as long as the fast suite takes: then the races above have shown less, which
            // is said, but nothing has failed. The long suite goes on until they meet.
            (Err(why), Effort::Fast) => println!("figures {MEETING}: {why}"),
            (outcome, _) => tell(MEETING, outcome),
        }
    }
    println!("operations {}", Tally::so_far().operations);
    println!("exceptions {}", exceptions_taken());
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::Passed } else { ExitCode::Failed }
}
