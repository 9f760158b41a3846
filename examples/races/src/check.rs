//! The checks of a race: the support crate's.
//!
//! A check that fails on one CPU ends the race on all of them, at the next place where they meet; the first failure is told.

pub(crate) use support::check::{Checked, Failure, Trouble, equal, holds};
