//! The kernels: which there are, and how their words become verdicts.
//!
//! A kernel's word is checked three ways: its exit status against its verdicts, its summary against its lines, and its
//! count of exceptions against the emulator's log. What does not fit becomes a failure of its own, with the console; and
//! what did not run for that reason is counted as such, below it.

pub(crate) mod ahead;
pub(crate) mod at_once;
mod bench;
pub(crate) mod by_cpus;
pub(crate) mod claims;
mod console;
pub(crate) mod counts;
mod intlog;
mod judge;
mod kernel;
pub(crate) mod minimal;
pub(crate) mod programs;
pub(crate) mod races;
mod sampled;
pub(crate) mod steps;
pub(crate) mod tour;

use crate::part::Part;

pub(crate) use bench::Bench;
pub(crate) use kernel::{DEMO, Kernel, PLAIN};

/// The kernel that is tested as a part of its own.
pub(crate) const fn of_part(part: Part) -> Option<Kernel> {
    match part {
        Part::Minimal => Some(kernel::MINIMAL),
        Part::Claims => Some(kernel::CLAIMS),
        Part::Demo => Some(DEMO),
        Part::Steps => Some(kernel::STEPS),
        Part::Races => Some(kernel::RACES),
        Part::Counts => Some(kernel::COUNTS),
        Part::Heap => Some(kernel::HEAP),
        Part::Programs => Some(kernel::PROGRAMS),
        Part::Bytecode => Some(kernel::BYTECODE),
        Part::Scheduler => Some(kernel::SCHEDULER),
        _ => None,
    }
}
