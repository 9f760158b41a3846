//! The checks.

mod bad;
mod good;

use crate::site::{Site, Told};

/// A check.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) body: fn(Site) -> Told,
}

/// All of them, in their order.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    good::CHECKS.iter().chain(bad::CHECKS)
}

/// A check is named after its function.
macro_rules! checks {
    ($($name:ident),+ $(,)?) => {
        pub(super) const CHECKS: &[super::Check] = &[$(super::Check { name: stringify!($name), body: $name }),+];
    };
}
use checks;
