//! The operations that are interrupted. Each starts from a state that it is given, and its answer can be checked.

use kernel_arena::{AllocError, FaultOutcome, FreeError, PageRange, Reclaimed, ReserveError};

use crate::check::{Checked, Failure};
use crate::site::Site;

mod alloc;
mod fault;
mod free;
mod reclaim;
mod reserve;

/// An operation, in some shape.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Its name.
    pub(crate) name: &'static str,
    /// How the arena is to be before, which was empty.
    pub(crate) prepare: fn(&Site<'_>) -> Checked,
    /// The call.
    pub(crate) run: fn(&Site<'_>) -> Answer,
    /// Whether answer and arena are as they must be afterwards.
    pub(crate) check: fn(&Site<'_>, Answer, Where) -> Checked,
    /// An offset in a page that it changes, which is not mapped at some of its points at least.
    pub(crate) victim: u64,
    /// Violations that it records itself.
    pub(crate) violations: u64,
    /// Whether what intruders do makes it longer.
    pub(crate) growth: Growth,
}

/// Whether what intruders do is more work for the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// It is not.
    None,
    /// It is: their pages are there to be healed and freed.
    EachVisit,
}

/// What an operation answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allocated(Result<PageRange, AllocError>),
    Freed(Result<(), FreeError>),
    Reserved(Result<(), ReserveError>),
    Reclaimed(Reclaimed),
    Handled(FaultOutcome),
}

/// What intruders touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// Pages that the operation is not about.
    Elsewhere,
    /// As above, and they may have finished deferred frees and healed pages themselves.
    Everywhere,
    /// The operation's own page, once.
    Victim,
}

/// All operations, in all shapes.
pub(crate) fn all() -> impl Iterator<Item = &'static Operation> {
    [alloc::SHAPES, free::SHAPES, reserve::SHAPES, reclaim::SHAPES, fault::SHAPES].into_iter().flatten()
}

/// The answer to a call of another kind.
fn strange(answer: &Answer) -> Failure {
    Failure::new(::alloc::format!("answered {answer:?}"))
}

/// Nothing to prepare.
fn nothing(_: &Site<'_>) -> Checked {
    Ok(())
}
