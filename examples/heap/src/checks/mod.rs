//! The claims, by what they are about. Each is a function; its name is the claim.

use alloc::string::String;

use crate::bench::Site;
use crate::check::Failure;

mod begin;
mod checked;
mod churn;
mod collections;
mod debug;
mod exhaust;
mod guests;
mod handover;
mod kinds;
mod pool;
mod preempted;
mod unknown;
mod wild;

/// What a claim tells besides its verdict; may be empty.
pub(crate) type Told = Result<String, Failure>;

/// A claim about the heap, or about what it stands on.
#[derive(Debug)]
pub(crate) struct Check {
    /// The claim.
    pub(crate) name: &'static str,
    /// Tries it, and gives everything back.
    pub(crate) body: fn(&Site) -> Told,
}

/// Lists functions as claims.
macro_rules! checks {
    ($($name:ident,)*) => {
        /// The claims of this file.
        pub(super) const CHECKS: &[$crate::checks::Check] =
            &[$($crate::checks::Check { name: stringify!($name), body: $name }),*];
    };
}
use checks;

/// All claims, in the order in which they are tried: what others rest on comes first.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [
        begin::CHECKS,
        kinds::CHECKS,
        collections::CHECKS,
        handover::CHECKS,
        churn::CHECKS,
        guests::CHECKS,
        wild::CHECKS,
        unknown::CHECKS,
        exhaust::CHECKS,
        checked::CHECKS,
        debug::CHECKS,
        pool::CHECKS,
        preempted::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// Nothing to tell.
const fn nothing() -> Told {
    Ok(String::new())
}
