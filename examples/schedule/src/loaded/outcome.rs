//! What became of a scheduler.

use alloc::string::String;
use alloc::vec::Vec;

use kernel_arena::Violation;
use kernel_arena_bpf::Reason;

use crate::tasks::Misplaced;

/// Why a scheduler was thrown out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A run of one of its functions did not end well.
    Ended(Reason),
    /// It had more violations than are let pass.
    Violations,
    /// It named a task that cannot be next.
    Misplaced(Misplaced),
    /// It said that there are no tasks, for a long time.
    Stalled,
    /// It did not want to begin.
    InitRefused(u64),
}

/// A scheduler's end in disgrace.
#[derive(Clone, Debug)]
pub struct Thrown {
    /// Why.
    pub why: Why,
    /// In which of its functions.
    pub function: &'static str,
    /// What there is to say about it, for people.
    pub report: String,
}

/// What became of a scheduler.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub name: &'static str,
    /// Why it was thrown out, if it was.
    pub thrown: Option<Thrown>,
    /// How many violations were charged to it.
    pub violations: u64,
    /// Those of them that were in its arena's record, oldest first.
    pub records: Vec<Violation>,
    /// What it has counted itself, in a variable named `counts`.
    pub counts: Option<[u64; 6]>,
    /// How many CPUs it has had asked again.
    pub kicked: u64,
}
