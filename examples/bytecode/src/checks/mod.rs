//! The checks, by subject.

use crate::bench::{Site, Told};

mod edges;
mod freed;
mod held;
mod shared;

/// A check: its name is the claim.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) body: fn(&Site<'_>) -> Told,
}

/// A list of checks, each named like its function.
macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        pub(super) const CHECKS: &[$crate::checks::Check] =
            &[$($crate::checks::Check { name: stringify!($name), body: $name }),*];
    };
}
use checks;

/// All of them, in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [shared::CHECKS, held::CHECKS, edges::CHECKS, freed::CHECKS].into_iter().flatten()
}
