//! The checks of a claim: the support crate's, and one of refusals.

use alloc::format;
use core::fmt::Debug;

pub(crate) use support::check::{Checked, Failure, equal, holds};

/// Checks that an operation was refused, and how.
pub(crate) fn refused<T: Debug, E: PartialEq + Debug>(what: &str, answer: Result<T, E>, expected: E) -> Checked {
    match answer {
        Err(error) => equal(what, error, expected),
        Ok(granted) => Err(Failure::new(format!("{what}: granted, {granted:?}, expected {expected:?}"))),
    }
}
