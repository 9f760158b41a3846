//! The checks of a test: the support crate's.

pub(crate) use support::check::{Checked, Failure, equal, holds};
